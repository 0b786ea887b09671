//! Small objects: shared between processes, freed by the last that holds them, reclaimed from the dead.

use super::*;
use crate::segment::Kind;
use crate::sync::RawLock;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::tenancy::Object;

fn what(kind: Kind) -> Expect {
    Expect::from(&Spec::new(kind))
}

fn value() -> Arc<Object> {
    Object::create(&what(Kind::Value), 8).unwrap()
}

fn content(object: &Object) -> &AtomicU64 {
    object.segment().at(Offset::new(object.place().0))
}

fn write(object: &Object, value: u64) {
    // no step: a value of the tests
    content(object).store(value, SeqCst);
}

fn read(object: &Object) -> u64 {
    content(object).load(SeqCst)
}

fn attach(raw: RawHandle) -> Result<Arc<Object>> {
    Object::attach(&raw, &what(Kind::Value))
}

/// A process that knows nothing but the handle it is told: attaches, adds one, waits for a word, and lets go.
///
/// It is to be started before there is an object, lest it inherit it.
fn user() -> Actor {
    Actor::start(|line| {
        super::super::registry::forget_all();
        super::super::object::forget_all();
        let object = attach(RawHandle::from_bytes(&line.receive())).unwrap();
        write(&object, read(&object) + 1);
        line.say(1);
        line.hear();
        drop(object);
    })
}

fn tell(user: &mut Actor, raw: RawHandle) {
    user.send(&raw.to_bytes());
    assert_eq!(user.hear(), 1);
}

#[test]
fn an_object_lives_as_long_as_its_last_holder() {
    alone(|| {
        let mut other = user();
        let _yard = value();
        let mine = value();
        let raw = mine.handle(0);
        write(&mine, 5);
        tell(&mut other, raw);
        assert_eq!(read(&mine), 6);
        drop(mine);
        let still = attach(raw).unwrap();
        assert_eq!(read(&still), 6, "the other process still holds it");
        drop(still);
        other.say(1);
        assert_eq!(other.join(), 0);
        assert_eq!(attach(raw).unwrap_err().kind(), ErrorKind::Gone);
        let next = value();
        let place = next.handle(0).offset;
        assert_eq!((place, read(&next)), (raw.offset, 0), "used again, zeroed");
        let stale = attach(raw).unwrap_err();
        assert_eq!(stale.kind(), ErrorKind::Gone);
    });
}

#[test]
fn one_process_holds_an_object_once() {
    alone(|| {
        let mut other = user();
        let mine = value();
        let raw = mine.handle(0);
        let again = attach(raw).unwrap();
        assert!(Arc::ptr_eq(&mine, &again));
        drop(mine);
        tell(&mut other, raw);
        assert_eq!(read(&again), 1);
        other.kill();
        drop(again);
        assert!(attach(raw).is_err());
    });
}

#[test]
fn a_forked_child_holds_what_its_parent_lets_go() {
    alone(|| {
        let _yard = value();
        let mine = value();
        let raw = mine.handle(0);
        write(&mine, 9);
        let mut child = Actor::start(|line| {
            line.say(1);
            line.hear();
            assert_eq!(read(&mine), 9);
            assert_eq!(mine.handle(0).generation, raw.generation);
        });
        child.hear();
        drop(mine);
        let strangers = value();
        assert_ne!(strangers.handle(0).offset, raw.offset);
        child.say(1);
        assert_eq!(child.join(), 0);
    });
}

#[test]
fn what_only_the_dead_used_is_reclaimed() {
    alone(|| {
        const PAGES: u64 = super::super::object::YARD >> 12;
        let page = || Object::create(&what(Kind::Value), 4096).unwrap();
        let first = page();
        let raw = first.handle(0);
        let mut hog = Actor::start(|line| {
            let all: Vec<_> = (1..PAGES).map(|_| page()).collect();
            assert!(all.iter().all(|one| one.segment().id() == raw.segment));
            line.say(1);
            line.hear();
        });
        assert_eq!(hog.hear(), 1);
        hog.kill();
        let next = page();
        assert_eq!(
            next.segment().id(),
            raw.segment,
            "no second segment while the first has room"
        );
    });
}

#[test]
fn ten_thousand_locks_cost_one_kernel_lock_and_die_with_their_holder() {
    alone(|| {
        let lock = || Object::create(&what(Kind::Lock), size_of::<RawLock>() as u64).unwrap();
        let raw_of = |object: &Object| Offset::<RawLock>::new(object.place().0);
        let locks: Vec<_> = (0..10_000).map(|_| lock()).collect();
        let tenant = Arc::clone(locks[0].tenant());
        assert!(
            locks.iter().all(|lock| Arc::ptr_eq(lock.tenant(), &tenant)),
            "one segment is enough"
        );
        let inode = format!(":{} ", fd::inode(tenant.segment().fd()).unwrap());
        let kernel = fs::read_to_string("/proc/locks").unwrap();
        assert!(kernel.lines().filter(|line| line.contains(&inode)).count() < 10);
        let holder = Actor::start(|_| {
            let (me, list) = (tenant.me(), &locks);
            for lock in list {
                let raw = lock.segment().at(raw_of(lock));
                raw.lock(me, &*tenant, Deadline::NOW).unwrap();
            }
        });
        assert_eq!(holder.join(), 0);
        assert_eq!(tenant.sweep(), 1);
        for lock in &locks {
            let raw = lock.segment().at(raw_of(lock));
            let last = raw.recover(tenant.me(), &*tenant, Deadline::NOW).unwrap();
            assert!(last.is_some(), "the lock is marked");
            raw.unlock();
        }
    });
}

#[test]
fn large_objects_have_a_segment_of_their_own() {
    let large = Object::create(&what(Kind::Value), 1 << 20).unwrap();
    assert!(large.place().1 >= 1 << 20);
    let raw = large.handle(0);
    let same = attach(raw).unwrap();
    write(&same, 3);
    assert_eq!(read(&large), 3);
    let wrong = Object::attach(&raw, &what(Kind::Lock)).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}

#[test]
fn a_value_is_no_lock() {
    let mine = value();
    let wrong = Object::attach(&mine.handle(0), &what(Kind::Lock)).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
}

#[test]
fn objects_that_travel_are_kept_although_their_sender_drops_them() {
    alone(|| {
        let _yard = value();
        let mine = value();
        let (raw, cargo) = handover::collect(|| mine.handle(0));
        handover::keep(1, cargo);
        drop(mine);
        attach(raw).unwrap();
        handover::release(1);
        assert!(attach(raw).is_err());
    });
}

#[test]
fn nothing_leaks_over_many_small_objects() {
    alone(|| {
        drop(value());
        let before = holdings();
        (0..20_000).for_each(|i| {
            let one = value();
            assert_eq!(read(&one), 0);
            write(&one, i);
        });
        assert_eq!(holdings(), before);
    });
}
