//! Members that come, go and are killed, as processes of their own.

use super::handle::{self, RawHandle};
use super::inspect::{gc_in, objects_in};
use super::{MODE_PERSIST, NothingToRepair, Repair, Tenant, handover};
use crate::error::{ErrorKind, Result};
use crate::segment::layout::Offset;
use crate::segment::name::{Directory, Name};
use crate::segment::{Expect, Kind, Segment, Spec};
use crate::sys::actor::Actor;
use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
use crate::sys::fd;
use crate::sys::identity::{Oracle, Participant};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[cfg(debug_assertions)]
mod crashes;
mod names;
mod objects;
mod roster;

fn spec() -> Spec {
    Spec {
        fingerprint: 42,
        type_name: "Job".into(),
        body_len: 4096,
        ..Spec::new(Kind::Test)
    }
}

fn nothing() -> Arc<dyn Repair> {
    Arc::new(NothingToRepair)
}

fn no_init(_: &Segment) -> Result<()> {
    Ok(())
}

fn anonymous() -> Arc<Tenant> {
    Tenant::create(None, &spec(), no_init, nothing()).unwrap()
}

/// A word of the object's body.
fn word(tenant: &Tenant, index: u64) -> &AtomicU32 {
    let body = Offset::<AtomicU32>::new(tenant.segment().body().0);
    tenant.segment().at(body.nth(index))
}

fn set(word: &AtomicU32, value: u32) {
    // no step: a word of the tests
    word.store(value, SeqCst);
}

fn get(word: &AtomicU32) -> u32 {
    word.load(SeqCst)
}

/// Notes whom it was asked to repair.
#[derive(Default)]
struct Notes(Mutex<Vec<u16>>);

impl Repair for Notes {
    fn repair(&self, _: &Arc<Segment>, dead: Participant) {
        self.0.lock().unwrap().push(dead.get());
    }
}

impl Notes {
    fn read(&self) -> Vec<u16> {
        self.0.lock().unwrap().clone()
    }
}

fn noted() -> (Arc<Tenant>, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let tenant = Tenant::create(None, &spec(), no_init, Arc::clone(&notes) as _).unwrap();
    (tenant, notes)
}

/// A member in a process of its own: joined when this returns, and there until told to go.
fn member(tenant: &Arc<Tenant>) -> (Actor, Participant) {
    let mut actor = Actor::start(|line| {
        line.say(tenant.me().get() as u8);
        line.hear();
    });
    let who = Participant::new(u16::from(actor.hear())).expect("the actor joined");
    (actor, who)
}

/// Runs `test` in a process of its own: what it holds is not copied into the actors of tests that run beside it.
fn alone(test: impl FnOnce()) {
    let actor = Actor::start(|_| {
        super::registry::forget_all();
        super::object::forget_all();
        test();
    });
    assert_eq!(actor.join(), 0);
}

/// The descriptors and mappings of this process.
fn holdings() -> (usize, usize) {
    let fds = fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (
        fds,
        maps.lines()
            .filter(|line| line.contains("multiproc"))
            .count(),
    )
}

#[test]
fn handles_find_their_object_in_another_process() {
    alone(|| {
        let tenant = anonymous();
        set(word(&tenant, 0), 7);
        let mut other = Actor::start(|line| {
            // Not from the inherited table of tenants: as a process that knows nothing but the bytes.
            super::registry::forget_all();
            let raw = RawHandle::from_bytes(&line.receive());
            let found = Tenant::attach(&raw, &Expect::from(&spec()), nothing()).unwrap();
            set(word(&found, 0), 8);
            line.say(found.me().get() as u8);
            line.hear();
            line.send(&found.handle(0, 0).to_bytes());
            line.hear();
        });
        let mine = tenant.handle(0, 0);
        other.send(&mine.to_bytes());
        assert_ne!(other.hear(), 0);
        assert_eq!(get(word(&tenant, 0)), 8);
        other.say(1);
        let theirs = RawHandle::from_bytes(&other.receive());
        assert_ne!((mine.pid, mine.segment), (theirs.pid, 0));
        assert_eq!(mine.inode, theirs.inode);
        let again = Tenant::attach(&theirs, &Expect::from(&spec()), nothing()).unwrap();
        assert!(Arc::ptr_eq(&again, &tenant));
        drop((again, tenant));
        // A third process holds it; the sender named in the handle does not any more.
        let late = Tenant::attach(&mine, &Expect::from(&spec()), nothing()).unwrap();
        assert_eq!(get(word(&late, 0)), 8);
        drop(late);
        other.kill();
        let gone = Tenant::attach(&theirs, &Expect::from(&spec()), nothing()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Gone, "{gone}");
    });
}

#[test]
fn a_handle_of_another_type_is_refused() {
    let tenant = anonymous();
    let other = Expect {
        fingerprint: Some(1),
        ..Expect::from(&spec())
    };
    let raw = tenant.handle(0, 0);
    let wrong = Tenant::attach(&raw, &other, nothing()).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}

#[test]
fn an_inherited_descriptor_is_enough_and_carries_no_lock() {
    alone(|| {
        let tenant = anonymous();
        let me = tenant.me();
        let raw = tenant.handle(0, 0);
        let loan = tenant.loan().unwrap();
        drop(tenant);
        handle::inherit(raw.segment, loan);
        let again = Tenant::attach(&raw, &Expect::from(&spec()), nothing()).unwrap();
        assert_eq!(again.me(), me);
        drop(again);
        handle::forget_inherited();
        let gone = Tenant::attach(&raw, &Expect::from(&spec()), nothing()).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Gone);
    });
}

#[test]
fn what_travels_is_collected_once_and_kept_until_released() {
    let (outer, inner) = (anonymous(), anonymous());
    let ((_, nested), seen) = handover::collect(|| {
        outer.handle(0, 0);
        outer.handle(0, 0);
        handover::collect(|| inner.handle(0, 0))
    });
    assert!(seen.len() == 1 && Arc::ptr_eq(&seen[0], &outer));
    assert!(nested.len() == 1 && Arc::ptr_eq(&nested[0], &inner));
    handover::keep(77, seen);
    assert_eq!(Arc::strong_count(&outer), 2);
    handover::release(77);
    handover::release(77);
    assert_eq!(Arc::strong_count(&outer), 1);
}

#[test]
fn nothing_leaks_over_many_cycles() {
    alone(|| {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::at(parent.path().join("objects")).unwrap();
        let name = Name::parse("cycle").unwrap();
        let cycle = |_| {
            let tenant = Tenant::create_in(&directory, &name, &spec(), no_init, nothing()).unwrap();
            let raw = tenant.handle(0, 0);
            drop(Tenant::attach(&raw, &Expect::from(&spec()), nothing()).unwrap());
            let (other, _) = (anonymous(), tenant);
            drop(other);
        };
        (0..10).for_each(cycle);
        let before = holdings();
        (0..500).for_each(cycle);
        assert_eq!(holdings(), before);
        assert!(directory.list().unwrap().is_empty());
        assert_eq!(super::registry::count(), 0);
    });
}
