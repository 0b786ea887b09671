//! A flag that many wait for, in one word.
//!
//! | bits | meaning |
//! |---|---|
//! | 31..3 | how often the flag was cleared |
//! | 2 | somebody may watch this word, among others |
//! | 1 | somebody may sleep on this word |
//! | 0 | set |
//!
//! Nobody holds anything here, so the dead leave nothing to undo: a sleeper that died leaves bit 1, which costs the next
//! `set` a system call; a setter that died before its wake-up leaves it to the next who sets or clears, or to the slice of
//! the first sleeper to look, who wakes all others. Who began to wait before the flag was set is let through even if it was
//! cleared since: the count of clearings tells.

use super::patience::Patience;
use crate::sys::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::bell::{Address, Bells};
use crate::sys::futex::{self, Wake};
use crate::sys::identity::Oracle;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::sys::until::{Over, Until};

/// See the table above. All zero bytes are a flag that is not set.
#[derive(Debug)]
#[cfg_attr(not(loom), repr(C))]
pub(crate) struct RawEvent {
    word: AtomicU32,
}

const SET: u32 = 1;
const SLEEPERS: u32 = 2;
const WATCHERS: u32 = 4;
const CLEARED: u32 = 8;

impl RawEvent {
    /// A flag that is not set.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        RawEvent {
            word: AtomicU32::new(0),
        }
    }

    /// Ends everybody's sleep, as the end of a slice does, which a model has not.
    #[cfg(loom)]
    pub(super) fn end_slices(&self) {
        futex::wake_all(&self.word);
    }

    /// Whether the flag is set.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0 // pairs with `set`
    }

    /// Sets the flag and wakes everybody who sleeps.
    #[inline]
    pub(crate) fn set(&self, bells: &impl Bells) {
        step("event.set");
        // Release: pairs with `is_set` and `wait`. An exchange also if the flag is set, so that what this setter did before
        // is seen as well; and in one order with the sleepers' announcement.
        let before = self.word.fetch_or(
            SET,
            if seeded("event-missing-release") {
                Relaxed
            } else {
                AcqRel
            },
        );
        if before & (SLEEPERS | WATCHERS) != 0 && !seeded("event-lost-wakeup") {
            self.wake(before | SET, bells);
        }
    }

    #[cold]
    fn wake(&self, set: u32, bells: &impl Bells) {
        self.wake_those(set, bells);
        step("event.calm");
        // From the exact word: whoever sleeps on a later one is not forgotten. Relaxed: says nothing but that.
        let _ = self
            .word
            .compare_exchange(set, set & !(SLEEPERS | WATCHERS), Relaxed, Relaxed);
    }

    /// Wakes those whom the word `seen` announces.
    fn wake_those(&self, seen: u32, bells: &impl Bells) {
        if seen & SLEEPERS != 0 {
            step("event.wake");
            futex::wake_all(&self.word);
        }
        if seen & WATCHERS != 0 {
            step("event.ring");
            bells.ring(Address::of(&self.word));
        }
    }

    /// Takes the flag back; who waits already and has not seen it yet is let through all the same.
    pub(crate) fn clear(&self, bells: &impl Bells) {
        let mut seen = self.word.load(Relaxed);
        while seen & SET != 0 {
            if seen & (SLEEPERS | WATCHERS) != 0 {
                self.wake_before(seen, bells);
            }
            let cleared = seen.wrapping_add(CLEARED) & !(SET | SLEEPERS | WATCHERS);
            step("event.clear");
            // Release: who is let through because of it has acquired what the setter did.
            match self.word.compare_exchange(seen, cleared, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The setter has not come to wake them, or died before it could. Nobody goes to sleep while the flag is set, so that
    /// none is left who sleeps when it goes; and a death in between leaves the announcement.
    #[cold]
    fn wake_before(&self, seen: u32, bells: &impl Bells) {
        step("event.wake-before");
        self.wake_those(seen, bells);
    }

    /// Waits until the flag is set, or was set since this began.
    ///
    /// # Errors
    ///
    /// Why `until` is over.
    #[inline]
    pub(crate) fn wait(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        if self.is_set() {
            return Ok(());
        }
        self.wait_slow(until, peers)
    }

    #[cold]
    fn wait_slow(&self, until: Until<'_>, peers: &dyn Oracle) -> Result<(), Over> {
        let mut patience = Patience::new(until, peers);
        let mut woken = Wake::Changed;
        let first = self.laps();
        loop {
            let seen = self.word.load(Acquire); // pairs with `set`, or with the clearing that followed it
            if seen & SET != 0 || laps_of(seen) != first {
                if woken == Wake::TimedOut {
                    self.wake_others();
                }
                return Ok(());
            }
            if patience.spin() {
                continue;
            }
            if let Some(over) = patience.over() {
                return Err(over);
            }
            if self.announce(seen) {
                step("event.sleep");
                woken = futex::wait(&self.word, seen | SLEEPERS, patience.slice());
            }
        }
    }

    /// How often it was cleared: what [`was_set_since`](RawEvent::was_set_since) asks for.
    #[inline]
    pub(crate) fn laps(&self) -> u32 {
        laps_of(self.word.load(Acquire)) // pairs with `set` and `clear`
    }

    /// Whether the flag is set, or was since it had been cleared so often.
    #[inline]
    pub(crate) fn was_set_since(&self, laps: u32) -> bool {
        let seen = self.word.load(Acquire); // pairs with `set`, or with the clearing that followed it
        seen & SET != 0 || laps_of(seen) != laps
    }

    /// Announces a watcher, who is enrolled under [`word`](RawEvent::word) and looks once more after this.
    pub(crate) fn watch(&self) {
        let mut seen = self.word.load(Relaxed); // a guess for the exchange
        while seen & SET == 0 {
            step("event.watch");
            // AcqRel: behind the enrolment, for the setter who reads this.
            let watched = self
                .word
                .compare_exchange(seen, seen | WATCHERS, AcqRel, Relaxed);
            match watched {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The word under which watchers enrol.
    #[cfg(not(loom))]
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Nobody has woken this sleeper, whose slice ended: the setter may be dead, and in a crowd the others' slices are long.
    #[cold]
    fn wake_others(&self) {
        step("event.wake-others");
        futex::wake_all(&self.word);
    }

    /// Sees to it that the word `seen` announces a sleeper; `false` if it changed meanwhile.
    fn announce(&self, seen: u32) -> bool {
        step("event.announce");
        // Relaxed: the word itself is all that matters, and its changes have one order.
        let announced = self
            .word
            .compare_exchange(seen, seen | SLEEPERS, Relaxed, Relaxed);
        announced.is_ok()
    }
}

fn laps_of(word: u32) -> u32 {
    word / CLEARED
}

// SAFETY: repr(C), one atomic.
#[cfg(not(loom))]
unsafe impl crate::segment::layout::Layout for RawEvent {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RawEvent>() == 4);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::clock::Deadline;
    use crate::sys::identity::Participant;
    use std::thread;
    use std::time::Duration;

    struct Few;

    impl Oracle for Few {
        fn is_alive(&self, _: Participant) -> bool {
            true
        }
    }

    struct Nobody;

    impl Bells for Nobody {
        fn ring(&self, _: Address) {}
    }

    fn event(word: u32) -> RawEvent {
        RawEvent {
            word: AtomicU32::new(word),
        }
    }

    fn wait(event: &RawEvent, until: impl Into<Until<'static>>) -> Result<(), Over> {
        event.wait(until.into(), &Few)
    }

    fn until_asleep(event: &RawEvent) {
        while event.word.load(Acquire) & SLEEPERS == 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_wait_that_may_not_wait_only_looks() {
        let event = event(0);
        let soon = || Deadline::after(Duration::from_nanos(1));
        assert_eq!(wait(&event, Deadline::NOW), Err(Over::TimedOut));
        assert_eq!(wait(&event, soon()), Err(Over::TimedOut));
        event.set(&Nobody);
        assert_eq!(wait(&event, Deadline::NOW), Ok(()));
        assert_eq!(wait(&event, soon()), Ok(()));
    }

    #[test]
    fn a_pulse_lets_everybody_through_who_waits() {
        let event = event(0);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait(&event, Deadline::NEVER));
            until_asleep(&event);
            event.set(&Nobody);
            event.clear(&Nobody);
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        });
        assert!(!event.is_set());
        assert_eq!(wait(&event, Deadline::NOW), Err(Over::TimedOut));
    }

    /// As a setter leaves it that died before its wake-up: any sleeper finds it out, and so does who clears the flag.
    #[test]
    fn what_a_dead_setter_owed_is_done_by_others() {
        // One that comes after the clearing waits for the next setter, so where it is cleared all must be asleep before.
        for (clears, count) in [(false, 2), (true, 1)] {
            let event = event(0);
            thread::scope(|scope| {
                let start = || scope.spawn(|| wait(&event, Deadline::NEVER));
                let sleepers: Vec<_> = (0..count).map(|_| start()).collect();
                until_asleep(&event);
                event.word.fetch_or(SET, AcqRel);
                if clears {
                    event.clear(&Nobody);
                }
                for sleeper in sleepers {
                    assert_eq!(sleeper.join().unwrap(), Ok(()));
                }
            });
        }
    }

    #[test]
    fn setting_and_clearing_twice_is_doing_it_once() {
        let event = event(0);
        event.clear(&Nobody);
        assert_eq!(event.word.load(Relaxed), 0);
        event.set(&Nobody);
        event.set(&Nobody);
        assert!(event.is_set());
        event.clear(&Nobody);
        event.clear(&Nobody);
        assert_eq!(event.word.load(Relaxed), CLEARED);
    }

    #[test]
    fn the_announcement_of_a_dead_sleeper_costs_one_wake_up() {
        let event = event(SLEEPERS);
        event.set(&Nobody);
        assert_eq!(event.word.load(Relaxed), SET);
    }

    #[test]
    fn clearings_are_counted_past_the_end_of_the_word() {
        let event = event(u32::MAX);
        event.clear(&Nobody);
        assert_eq!(event.word.load(Relaxed), 0);
    }
}
