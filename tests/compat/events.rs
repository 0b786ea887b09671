//! `raw_sync`'s traits for `Event`.

use std::time::Duration;

use multiproc::compat::raw_sync::Timeout;
use multiproc::compat::raw_sync::events::{EventImpl, EventInit, EventState};
use multiproc::{Event, Process, Until};

use crate::{name_of, new, open};

fn pass_on(name: String) {
    let shmem = open(&name);
    let (asked, answered) = (shmem.as_ptr(), shmem.as_ptr().wrapping_add(64));
    // SAFETY: the parent has made an event at each place, in 4096 bytes that are mapped as long as `shmem` is.
    let events = unsafe { [asked, answered].map(|at| Event::from_existing(at).unwrap().0) };
    events[0].wait(Timeout::Infinite).unwrap();
    events[1].set(EventState::Signaled).unwrap();
}

#[test]
fn events_are_found_by_what_lies_in_the_memory() {
    let shmem = new(4096);
    let made = [0, 64].map(|at| {
        // SAFETY: both places have 64 bytes that nobody else uses.
        unsafe { <Event as EventInit>::new(shmem.as_ptr().add(at), false) }.unwrap()
    });
    let used = <Event as EventInit>::size_of(None);
    assert!(made.iter().all(|(_, len)| *len == used && used <= 64));
    let child = Process::spawn(pass_on, (name_of(&shmem),)).unwrap();
    made[0].0.set(EventState::Signaled).unwrap();
    made[1].0.wait(Timeout::Infinite).unwrap();
    child.join().unwrap();
    made[1].0.set(EventState::Clear).unwrap();
    let soon = Timeout::Val(Duration::from_millis(1));
    assert!(made[1].0.wait(soon).is_err());
}

#[test]
fn what_is_no_event_is_refused() {
    let mut memory = [0_u8; 64];
    let at = memory.as_mut_ptr();
    // SAFETY: 64 bytes that nobody else uses; a null pointer is not looked at.
    unsafe {
        assert!(Event::from_existing(at).is_err());
        assert!(<Event as EventInit>::new(at, true).is_err());
        assert!(<Event as EventInit>::new(std::ptr::null_mut(), false).is_err());
        drop(<Event as EventInit>::new(at, false).unwrap());
        assert!(Event::from_existing(at).is_err(), "nobody has it any more");
    }
}

#[test]
fn a_timeout_becomes_an_end() {
    let event = Event::new().unwrap();
    let short = Timeout::Val(Duration::from_millis(1));
    assert!(event.wait_until(Until::from(short)).is_err());
    event.set();
    assert!(event.wait_until(Timeout::Infinite.into()).is_ok());
    EventImpl::set(&event, EventState::Clear).unwrap();
    assert!(!event.is_set());
}
