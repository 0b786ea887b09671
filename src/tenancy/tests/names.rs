//! Named objects: created whole, opened with suspicion, removed by the last one out and by nobody else.

use super::*;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::time::Instant;

/// A directory of objects that goes away with the test.
pub(super) struct Place {
    pub(super) directory: Directory,
    _parent: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let parent = tempfile::tempdir_in("/dev/shm").unwrap();
        Place {
            directory: Directory::at(parent.path().join("objects")).unwrap(),
            _parent: parent,
        }
    }

    pub(super) fn create(&self, name: &str) -> Result<Arc<Tenant>> {
        self.create_as(name, &spec())
    }

    fn create_as(&self, name: &str, spec: &Spec) -> Result<Arc<Tenant>> {
        Tenant::create_in(
            &self.directory,
            &Name::parse(name)?,
            spec,
            no_init,
            nothing(),
        )
    }

    pub(super) fn open(&self, name: &str) -> Result<Arc<Tenant>> {
        let expect = Expect::from(&spec());
        Tenant::open_in(&self.directory, &Name::parse(name)?, &expect, nothing())
    }

    pub(super) fn open_or_create(&self, name: &str) -> Result<Arc<Tenant>> {
        let name = Name::parse(name)?;
        Tenant::open_or_create_in(&self.directory, &name, &spec(), no_init, nothing())
    }

    fn refusal(&self, name: &str) -> ErrorKind {
        let start = Instant::now();
        let kind = self.open(name).unwrap_err().kind();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "no waiting for the impossible"
        );
        kind
    }

    pub(super) fn names(&self) -> Vec<String> {
        let names = self.directory.list().unwrap();
        names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    pub(super) fn gc(&self) -> crate::tenancy::inspect::GcReport {
        gc_in(&self.directory, |_| Some(nothing())).unwrap()
    }
}

#[test]
fn the_last_one_out_removes_the_name() {
    let place = Place::new();
    let mine = place.create("jobs").unwrap();
    assert_eq!(
        place.create("jobs").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert!(Arc::ptr_eq(&mine, &place.open("jobs").unwrap()));
    let mut other = Actor::start(|line| {
        super::super::registry::forget_all();
        let theirs = place.open("jobs").unwrap();
        line.say(1);
        line.hear();
        drop(theirs);
    });
    other.hear();
    drop(mine);
    assert_eq!(place.names(), ["jobs"]);
    other.say(1);
    assert_eq!(other.join(), 0);
    assert!(place.names().is_empty());
    assert_eq!(place.refusal("jobs"), ErrorKind::NotFound);
}

#[test]
fn many_that_leave_at_once_remove_it_once() {
    let place = Place::new();
    for _ in 0..20 {
        let mine = place.create("crowd").unwrap();
        let mut others: Vec<_> = (0..4)
            .map(|_| {
                Actor::start(|line| {
                    super::super::registry::forget_all();
                    let theirs = place.open("crowd").unwrap();
                    line.say(1);
                    line.hear();
                    drop(theirs);
                })
            })
            .collect();
        others
            .iter_mut()
            .for_each(|other| assert_eq!(other.hear(), 1));
        others.iter_mut().for_each(|other| other.say(1));
        drop(mine);
        assert!(others.into_iter().all(|other| other.join() == 0));
        assert!(place.names().is_empty());
    }
}

#[test]
fn persistent_objects_stay_with_their_data() {
    let place = Place::new();
    let spec = Spec {
        mode: MODE_PERSIST,
        ..spec()
    };
    let first = place.create_as("state", &spec).unwrap();
    set(word(&first, 0), 9);
    drop(first);
    assert_eq!(place.gc().persistent, 1);
    let kept = place.create_as("state", &spec).unwrap_err();
    assert_eq!(kept.kind(), ErrorKind::AlreadyExists);
    assert_eq!(get(word(&place.open("state").unwrap(), 0)), 9);
    Tenant::remove_in(&place.directory, &Name::parse("state").unwrap()).unwrap();
    assert!(place.names().is_empty());
}

#[test]
fn what_a_crash_left_is_opened_with_its_data_or_replaced_or_collected() {
    let place = Place::new();
    let crash = || {
        let mut victim = Actor::start(|line| {
            let theirs = place.create("jobs").unwrap();
            set(word(&theirs, 0), 5);
            line.say(1);
            line.hear();
        });
        assert_eq!(victim.hear(), 1);
        victim.kill();
        assert_eq!(place.names(), ["jobs"]);
    };
    crash();
    let info = objects_in(&place.directory).unwrap().remove(0);
    assert_eq!((info.members.len(), info.dead, &*info.kind), (0, 1, "test"));
    let opened = place.open("jobs").unwrap();
    assert_eq!(get(word(&opened, 0)), 5);
    drop(opened);
    assert!(place.names().is_empty());
    crash();
    let replaced = place.create("jobs").unwrap();
    assert_eq!(get(word(&replaced, 0)), 0);
    drop(replaced);
    crash();
    assert_eq!(place.gc().removed, ["jobs"]);
    assert!(place.names().is_empty());
}

#[test]
fn objects_tell_who_has_them_open() {
    let place = Place::new();
    let mine = place.create("jobs").unwrap();
    let (_actor, _) = member(&mine);
    let info = objects_in(&place.directory).unwrap().remove(0);
    assert_eq!(
        (&*info.name, &*info.type_name, info.members.len()),
        ("jobs", "Job", 2)
    );
    assert!(
        info.members
            .iter()
            .any(|member| member.pid == std::process::id())
    );
    assert!(info.bytes >= 3 * 4096 && !info.persists && info.fault.is_none());
    assert_eq!((place.gc().living, place.names().len()), (1, 1));
}

#[test]
fn gc_cleans_up_after_the_dead_in_objects_that_live() {
    let place = Place::new();
    let mine = place.create("jobs").unwrap();
    let (actor, who) = member(&mine);
    actor.kill();
    assert_eq!(place.gc().buried, 1);
    assert!(mine.roster().member(who).is_none());
}

#[test]
fn a_removed_object_stays_with_those_who_have_it() {
    let place = Place::new();
    let name = Name::parse("jobs").unwrap();
    let mine = place.create("jobs").unwrap();
    Tenant::remove_in(&place.directory, &name).unwrap();
    let again = Tenant::remove_in(&place.directory, &name).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let second = place.create("jobs").unwrap();
    assert_ne!(mine.segment().id(), second.segment().id());
    drop(mine);
    assert_eq!(
        place.names(),
        ["jobs"],
        "the first one's end is not the second one's"
    );
}

#[test]
fn strange_files_are_refused() {
    let place = Place::new();
    let path = |name: &str| place.directory.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mine = place.create("whole").unwrap();
    let whole = fs::read(path("whole")).unwrap();
    let damaged = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= byte;
        write("damaged", &bytes);
        place.refusal("damaged")
    };
    assert_eq!(damaged(32, 1), ErrorKind::WrongType);
    assert_eq!(damaged(8, 1), ErrorKind::WrongVersion);
    assert_eq!(damaged(0, 1), ErrorKind::Corrupt);
    for half in [0, 100, 4096, whole.len() - 1] {
        write("half", &whole[..half]);
        assert_eq!(place.refusal("half"), ErrorKind::Corrupt, "{half} bytes");
    }
    write("foreign", b"#!/bin/sh\n");
    assert_eq!(place.refusal("foreign"), ErrorKind::Corrupt);
    symlink(path("whole"), path("link")).unwrap();
    assert_eq!(place.refusal("link"), ErrorKind::PermissionDenied);
    fs::create_dir(path("folder")).unwrap();
    assert!(place.open("folder").is_err());
    let report = place.gc();
    let faulty: Vec<_> = report.faults.iter().map(|(name, _)| &**name).collect();
    assert_eq!(faulty, ["damaged", "folder", "foreign", "half", "link"]);
    assert_eq!(
        report.removed,
        Vec::<String>::new(),
        "what is not ours is not touched"
    );
    drop(mine);
}

#[test]
fn a_file_cut_short_behind_its_members_is_refused_to_newcomers() {
    let place = Place::new();
    let mine = place.create("cut").unwrap();
    let file = fs::File::options()
        .write(true)
        .open(place.directory.path().join("cut"))
        .unwrap();
    file.set_len(4096).unwrap();
    let newcomer = Actor::start(|_| {
        super::super::registry::forget_all();
        assert_eq!(place.refusal("cut"), ErrorKind::Corrupt);
    });
    assert_eq!(newcomer.join(), 0);
    file.set_len(3 * 4096).unwrap();
    file.write_all_at(&[0], 4096).unwrap();
    drop(mine);
}

#[test]
fn what_another_made_meanwhile_and_died_with_is_taken_over() {
    alone(|| {
        let place = Place::new();
        let name = Name::parse("jobs").unwrap();
        // Between the look for the name and the making of it, another comes, changes the data, and dies.
        let once = std::cell::Cell::new(true);
        let overtaken = |_: &Segment| {
            if !once.take() {
                return Ok(());
            }
            let mut other = Actor::start(|line| {
                let theirs = place.create("jobs").unwrap();
                set(word(&theirs, 0), 7);
                line.say(1);
                line.hear();
            });
            assert_eq!(other.hear(), 1);
            other.kill();
            Ok(())
        };
        let mine =
            Tenant::open_or_create_in(&place.directory, &name, &spec(), overtaken, nothing());
        assert_eq!(get(word(&mine.unwrap(), 0)), 7);
    });
}

#[test]
fn gc_in_a_loop_never_removes_what_lives() {
    let place = Place::new();
    let mut collectors: Vec<_> = (0..2)
        .map(|_| {
            Actor::start(|line| {
                line.say(1);
                loop {
                    place.gc();
                }
            })
        })
        .collect();
    collectors
        .iter_mut()
        .for_each(|collector| assert_eq!(collector.hear(), 1));
    let user = |seed: u32| {
        let place = &place;
        Actor::start(move |_| {
            for round in 0..200 {
                let name = ["a", "b"][((seed + round) % 2) as usize];
                let mine = place.open_or_create(name).unwrap();
                let raw = mine.handle(0, 0);
                let named = || fs::metadata(place.directory.path().join(name));
                let inode = named().map(|meta| std::os::unix::fs::MetadataExt::ino(&meta));
                assert_eq!(inode.ok(), Some(raw.inode), "a living object lost its name");
            }
        })
    };
    let users: Vec<_> = (0..3).map(user).collect();
    for user in users {
        assert_eq!(user.join(), 0);
    }
    drop(collectors);
    place.gc();
    assert!(place.names().is_empty());
}
