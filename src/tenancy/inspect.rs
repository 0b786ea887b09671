//! The named objects of this user, seen from outside, and the removal of what crashes left.

use crate::error::Result;
use crate::segment::Segment;
use crate::segment::name::{Directory, Name};
use crate::sys::identity::{self, Participant};
use crate::sys::{shm, socket};
use crate::tenancy::MODE_PERSIST;
use crate::tenancy::annex;
use crate::tenancy::locks::Held;
use crate::tenancy::mender::mender_for;
use crate::tenancy::naming::{self, Fate};
use crate::tenancy::roster::Roster;
use crate::tenancy::sweep::{self, Repair};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What [`objects`] tells about one named object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// The name under which it is opened.
    pub name: String,
    /// What it is, such as `queue`; empty if the file could not be read as an object.
    pub kind: String,
    /// The element type, as its creator wrote it.
    pub type_name: String,
    /// The memory that its file occupies.
    pub bytes: u64,
    /// The processes that have it open and live.
    pub members: Vec<MemberInfo>,
    /// Members that died and have not been cleaned up after yet.
    pub dead: usize,
    /// The numbers by which the object was made; their meaning depends on the kind.
    pub params: [u64; 8],
    /// The process that made it.
    pub creator: u32,
    /// Whether it stays when its last member has left: on purpose, or until the manager ends to which it belongs.
    pub persists: bool,
    /// Why the file cannot be read as an object.
    pub fault: Option<String>,
}

/// A living process that has an object open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// The process id, in the process's own namespace.
    pub pid: u32,
    /// The command name.
    pub name: String,
}

/// The named objects of this user, in the order of their names.
///
/// Looks only: nothing is repaired, removed, or joined. An object may be gone by the time you read about it.
///
/// # Examples
///
/// ```
/// for object in multiproc::objects()? {
///     println!("{} {} {} bytes, {} members", object.name, object.kind, object.bytes, object.members.len());
/// }
/// # Ok::<(), multiproc::Error>(())
/// ```
///
/// # Errors
///
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the directory of named objects (`$MULTIPROC_DIR`, or
/// `/dev/shm/multiproc-<uid>`) belongs to another user or is open to others.
pub fn objects() -> Result<Vec<ObjectInfo>> {
    objects_in(&Directory::of_user()?)
}

pub(super) fn objects_in(directory: &Directory) -> Result<Vec<ObjectInfo>> {
    let names = directory.list()?;
    let described = names.iter().filter_map(|name| describe(directory, name));
    Ok(described.collect())
}

/// `None` if the object went away meanwhile.
fn describe(directory: &Directory, name: &Name) -> Option<ObjectInfo> {
    let mut info = ObjectInfo {
        name: name.as_str().to_owned(),
        kind: String::new(),
        type_name: String::new(),
        bytes: fs::symlink_metadata(directory.path_of(name)).ok()?.blocks() * 512,
        members: Vec::new(),
        dead: 0,
        params: [0; 8],
        creator: 0,
        persists: false,
        fault: None,
    };
    match directory
        .open(name)
        .and_then(|file| Segment::open(file, None))
    {
        Ok(segment) => {
            fill_in(&mut info, &segment);
            info.persists |= annex::is_annex(name);
        }
        Err(_) if !directory.path_of(name).exists() => return None,
        Err(fault) => info.fault = Some(fault.to_string()),
    }
    Some(info)
}

fn fill_in(info: &mut ObjectInfo, segment: &Segment) {
    let geometry = segment.geometry();
    info.kind = geometry.kind.to_string();
    info.type_name.clone_from(&geometry.type_name);
    info.params = geometry.params;
    info.creator = geometry.creator.pid;
    info.persists = geometry.mode & MODE_PERSIST != 0;
    let roster = Roster::of(segment);
    for who in roster.occupied() {
        if !identity::is_alive(segment.fd(), who) {
            info.dead += 1;
        } else if let Some(member) = roster.member(who) {
            info.members.push(MemberInfo {
                pid: member.process.pid,
                name: member.name,
            });
        }
    }
}

/// What [`gc`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// The objects that nobody had open any more and that were removed.
    pub removed: Vec<String>,
    /// Dead members that were cleaned up after, in objects that live.
    pub buried: usize,
    /// Objects that are in use.
    pub living: usize,
    /// Objects that nobody uses and that stay on purpose, or with their manager.
    pub persistent: usize,
    /// Files that are not objects of this version, with the reason; they were not touched.
    pub faults: Vec<(String, String)>,
}

/// Removes the named objects that no living process has open, and cleans up after the dead in those that live.
///
/// Never touches an object that is in use, however quickly it was created or opened: who creates one is its member
/// before its name appears. Objects that were made to persist stay, as do those of a
/// [`Manager`](crate::Manager) that has a member or stays itself; files that are not objects are only reported.
///
/// # Examples
///
/// ```
/// let report = multiproc::gc()?;
/// println!("{} removed, {} in use", report.removed.len(), report.living);
/// # Ok::<(), multiproc::Error>(())
/// ```
///
/// # Errors
///
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the directory of named objects (`$MULTIPROC_DIR`, or
/// `/dev/shm/multiproc-<uid>`) belongs to another user or is open to others.
pub fn gc() -> Result<GcReport> {
    gc_in(&Directory::of_user()?, mender_for)
}

type Menders = fn(&Segment) -> Option<Arc<dyn Repair>>;

pub(super) fn gc_in(directory: &Directory, menders: Menders) -> Result<GcReport> {
    let mut report = GcReport::default();
    let mut names = directory.list()?;
    names.sort_by_key(annex::is_annex); // behind the managers that take theirs along
    for name in names {
        match naming::remove_abandoned(directory, &name) {
            Ok(Fate::Removed) => report.removed.push(name.as_str().to_owned()),
            Ok(Fate::Absent) => {}
            Ok(Fate::Stays) => report.persistent += 1,
            Ok(Fate::Lives) => {
                report.living += 1;
                report.buried += bury_dead(directory, &name, menders);
            }
            Err(fault) => {
                let fault = (name.as_str().to_owned(), fault.to_string());
                report.faults.push(fault);
            }
        }
    }
    remove_unfinished(directory)?;
    remove_deserted_sockets(directory)?;
    Ok(report)
}

fn bury_dead(directory: &Directory, name: &Name, menders: Menders) -> usize {
    let opened = directory
        .open(name)
        .and_then(|file| Segment::open(file, None));
    let Ok(segment) = opened.map(Arc::new) else {
        return 0; // gone meanwhile
    };
    let Some(repair) = menders(&segment) else {
        return 0; // its own members will
    };
    let undertaker = |dead: Participant| repair.repair(&segment, dead);
    sweep::sweep(Roster::of(&segment), segment.fd(), None, &undertaker)
}

/// The sockets of listeners that died before they had a name. Young ones may not be held yet.
fn remove_deserted_sockets(directory: &Directory) -> Result<()> {
    for file in directory.sockets()? {
        let path = directory.path().join(&file);
        if is_old(&path) && !socket::is_held(directory.path(), &file) {
            let _ = fs::remove_file(&path); // somebody may have swept it
        }
    }
    Ok(())
}

/// Whether whoever made the file has had the time to take hold of it.
fn is_old(path: &Path) -> bool {
    const YOUTH: Duration = Duration::from_secs(60);
    let age = fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .map(|made| made.elapsed());
    matches!(age, Ok(Ok(age)) if age > YOUTH)
}

/// Files that were being made where the file system lacks nameless ones. Young ones may not be locked yet.
fn remove_unfinished(directory: &Directory) -> Result<()> {
    for path in directory.unfinished()? {
        if is_old(&path) && is_unlocked(&path) {
            let _ = fs::remove_file(&path); // its maker may have finished it after all
        }
    }
    Ok(())
}

fn is_unlocked(path: &Path) -> bool {
    let Ok(file) = shm::open_existing(path) else {
        return false;
    };
    matches!(Held::everything(file.as_fd()), Ok(Some(_)))
}
