//! What only the inside of a struct shows.

use super::*;
use crate::segment::Kind;
use crate::segment::layout::Offset;
use crate::sync::BoundedHead;
use crate::tenancy::object::repair_of;
use crate::{BoundedSemaphore, Event, Lock, TryLockError, Value};
use std::sync::mpsc;
use std::thread;

crate::plain! {
    #[derive(Clone, Copy, Debug)]
    #[repr(align(256))]
    struct Wide { bytes: [u8; 256] }
}

crate::shared! {
    struct Inner from InnerInit { flag: bool, lock: Lock<u32> }

    struct Outer from OuterInit {
        byte: u8,
        first: Lock<Wide>,
        number: Value<u16>,
        inner: Inner,
        wide: Wide,
        last: Event,
    }
}

fn outer() -> Shared<Outer> {
    let wide = Wide { bytes: [7; 256] };
    let init = OuterInit {
        byte: 1,
        first: wide,
        number: 2,
        inner: InnerInit {
            flag: true,
            lock: 3,
        },
        wide,
        last: true,
    };
    Shared::new(init).unwrap()
}

#[test]
fn every_field_has_its_own_aligned_place() {
    let outer = outer();
    assert_eq!((outer.byte, outer.inner.flag), (1, true));
    assert_eq!(outer.wide.bytes, [7; 256]);
    assert_eq!(outer.number.load(), 2);
    assert!(outer.last.is_set());
    let mut first = outer.first.lock().unwrap();
    assert!(std::ptr::from_mut(&mut *first).is_aligned());
    first.bytes.fill(9);
    drop(first);
    assert_eq!(*outer.inner.lock.lock().unwrap(), 3);
    assert_eq!(outer.number.load(), 2);
}

#[test]
fn the_declaration_is_the_fingerprint() {
    let mut text = String::new();
    let mut look = |print: &Blueprint| text = format!("{print:?}");
    look(&blueprint::<Inner>().unwrap());
    let lock = crate::segment::layout::fingerprint(b"u32/4/4");
    let declared = format!("Inner{{flag:bool/1/1;lock:6/{lock:016x}/4/4;}}");
    assert!(text.contains(&declared), "{text}");
}

/// Past the kernel's limit, or without a robust list, only the sweep marks what the dead held.
#[test]
fn the_sweep_finds_the_locks_of_a_struct() {
    let outer = outer();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let theirs = outer.clone();
    let holder = thread::spawn(move || {
        std::mem::forget(theirs.first.lock().unwrap());
        std::mem::forget(theirs.inner.lock.lock().unwrap());
        tell.send(()).unwrap();
        asked.recv().ok();
    });
    told.recv().unwrap();
    let tenant = outer.whole.home.tenant();
    assert!(outer.first.try_lock().is_err());
    repair_of(Kind::Shared).repair(tenant.segment(), tenant.me());
    let died = |refused| matches!(refused, Err(TryLockError::OwnerDied { .. }));
    assert!(died(outer.first.try_lock().map(drop)));
    assert!(died(outer.inner.lock.try_lock().map(drop)));
    drop(ask);
    holder.join().unwrap();
}

#[test]
fn a_forgotten_guard_keeps_the_struct_in_its_place() {
    let outer = outer();
    std::mem::forget(outer.inner.lock.lock().unwrap());
    let place = outer.whole.home.place();
    let segment = Arc::clone(outer.whole.home.tenant().segment());
    drop(outer);
    let next = self::outer();
    assert!(
        next.whole.home.place() != place || next.whole.home.tenant().segment().id() != segment.id()
    );
}

#[test]
fn structs_that_do_not_fit_are_refused() {
    crate::shared! {
        #[allow(dead_code, reason = "nobody can make one")]
        struct Vast from VastInit { first: Lock<[u64; 1 << 28]>, second: Lock<[u64; 1 << 28]> }
    }
    let refused = blueprint::<Vast>().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

/// The count of permits is a word in shared memory, and behind its room there is somebody else's number.
#[test]
fn a_damaged_field_leads_the_sweep_to_no_other() {
    crate::shared! {
        struct Gate from GateInit { permits: BoundedSemaphore, beside: Value<u16> }
    }
    let gate = Shared::<Gate>::new(GateInit {
        permits: 3,
        beside: 0,
    });
    let gate = gate.unwrap();
    let home = &gate.whole.home;
    let (segment, me) = (home.tenant().segment(), home.tenant().me());
    gate.beside.store(me.get());
    std::mem::forget(gate.permits.acquire());
    let first = segment.at(Offset::<BoundedHead>::new(home.place() + 64));
    assert_eq!(first.count(), 3);
    first.prepare(1200); // as far as its neighbour
    repair_of(Kind::Shared).repair(segment, me);
    assert_eq!(gate.permits.available(), 3, "all of its own");
    assert_eq!(gate.beside.load(), me.get());
    let widened = BoundedSemaphore::attach(&gate.permits.to_raw()).unwrap_err();
    assert_eq!(widened.kind(), ErrorKind::Corrupt);
}
