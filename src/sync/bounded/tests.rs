//! Permits with owners, without processes: threads stand for them.

use super::*;
use crate::segment::{Draft, Kind, Spec};
use crate::sys::atomic::AtomicBool;
use crate::sys::clock::Deadline;
use std::thread;
use std::time::Duration;

const DEAD: Participant = Participant::new(1001).unwrap();

/// Everybody lives but those beyond 1000, and is cleaned up after at once.
struct Few<'a>(RawBounded<'a>);

impl Oracle for Few<'_> {
    fn is_alive(&self, who: Participant) -> bool {
        who.get() < 1000
    }

    fn look_out(&self) {
        self.bury(DEAD);
    }
}

impl Undertaker for Few<'_> {
    fn bury(&self, who: Participant) -> bool {
        self.0.repair(who);
        true
    }
}

struct Semaphore {
    turnstile: Turnstile,
    permits: Vec<PermitWord>,
}

impl Semaphore {
    fn new(count: usize) -> Self {
        Semaphore {
            turnstile: Turnstile::new(0),
            permits: (0..count).map(|_| PermitWord::new()).collect(),
        }
    }

    fn raw(&self) -> RawBounded<'_> {
        RawBounded::new(&self.turnstile, &self.permits)
    }

    fn acquire(&self, who: u16, count: u32, deadline: Deadline) -> Result<Vec<u32>, Over> {
        let me = Participant::new(who).unwrap();
        let (until, raw) = (deadline.into(), self.raw());
        raw.acquire(count, until, me, u32::from(who), &Few(raw))
    }

    fn hold(&self, index: usize, who: u16) {
        self.permits[index].0.store(who, SeqCst); // no step: a test
    }

    fn until_watched(&self) {
        while !self.turnstile.load().is_watched() {
            thread::yield_now();
        }
    }
}

#[test]
fn each_permit_has_one_holder() {
    let semaphore = Semaphore::new(3);
    let me = Participant::FIRST;
    let taken: Vec<u32> = (0..3)
        .map(|_| semaphore.raw().try_acquire(me, 2).unwrap())
        .collect();
    assert_eq!(taken, [2, 0, 1], "from the hint on");
    assert_eq!(semaphore.raw().try_acquire(me, 0), None);
    assert_eq!(semaphore.raw().try_acquire(me, 9), None, "no such permit");
    assert_eq!(semaphore.acquire(2, 1, Deadline::NOW), Err(Over::TimedOut));
    semaphore.raw().release(0);
    assert_eq!(semaphore.acquire(2, 1, Deadline::NOW), Ok(vec![0]));
    assert_eq!(semaphore.raw().available(), 0);
}

#[test]
fn several_are_taken_together_or_not_at_all() {
    let semaphore = Semaphore::new(4);
    semaphore.hold(1, 7);
    assert_eq!(semaphore.acquire(1, 4, Deadline::NOW), Err(Over::TimedOut));
    assert_eq!(semaphore.raw().available(), 3);
    let taken = semaphore.acquire(1, 3, Deadline::NOW).unwrap();
    assert_eq!(taken, [2, 3, 0]);
    semaphore.raw().release_all(&taken);
    assert_eq!(semaphore.raw().available(), 3);
    assert_eq!(semaphore.turnstile.load().first(), None);
}

#[test]
fn what_the_dead_held_comes_back_once() {
    let semaphore = Semaphore::new(3);
    semaphore.hold(0, DEAD.get());
    semaphore.hold(1, 7);
    semaphore.hold(2, DEAD.get());
    assert_eq!(semaphore.acquire(1, 2, Deadline::NOW), Ok(vec![2, 0]));
    semaphore.raw().repair(DEAD);
    assert_eq!(semaphore.raw().available(), 0, "it is the living's now");
}

#[test]
fn what_was_kept_for_the_dead_is_everybodys() {
    let semaphore = Semaphore::new(1);
    let word = semaphore.turnstile.load().kept_for(DEAD).0;
    semaphore.turnstile.word.store(word, SeqCst); // no step: a test
    assert_eq!(semaphore.raw().try_acquire(Participant::FIRST, 0), None);
    assert_eq!(semaphore.acquire(1, 1, Deadline::NOW), Ok(vec![0]));
}

#[test]
fn a_leaked_permit_is_nobodys_until_it_is_given_back() {
    let semaphore = Semaphore::new(2);
    let me = Participant::FIRST;
    let index = semaphore.raw().try_acquire(me, 0).unwrap();
    assert_eq!(semaphore.raw().give_back(1, me), Err(NotLeaked));
    semaphore.raw().leak(index);
    semaphore.raw().repair(me);
    assert_eq!(
        semaphore.raw().available(),
        1,
        "it does not die with who had it"
    );
    assert_eq!(semaphore.raw().give_back(2, me), Err(NotLeaked));
    assert_eq!(semaphore.raw().give_back(u32::MAX, me), Err(NotLeaked));
    assert_eq!(semaphore.raw().give_back(1, me), Ok(()));
    assert_eq!(semaphore.raw().give_back(1, me), Err(NotLeaked));
    assert_eq!(semaphore.raw().give_back(0, me), Ok(()));
    assert_eq!(semaphore.raw().available(), 2);
}

#[test]
fn a_sleeper_is_woken_by_who_gives_and_finds_what_the_dead_left() {
    for dies in [false, true] {
        let semaphore = Semaphore::new(1);
        semaphore.hold(0, 7);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| semaphore.acquire(1, 1, Deadline::NEVER));
            semaphore.until_watched();
            match dies {
                true => semaphore.hold(0, DEAD.get()),
                false => semaphore.raw().release(0),
            }
            assert_eq!(sleeper.join().unwrap(), Ok(vec![0]));
        });
    }
}

/// Large and small requests, more than there are permits for; none is forgotten, and nothing is left over.
#[test]
fn large_and_small_requests_are_all_served() {
    let semaphore = Semaphore::new(4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for who in 1..4 {
            let (semaphore, stop) = (&semaphore, &stop);
            scope.spawn(move || {
                while !stop.load(SeqCst) {
                    let taken = semaphore.acquire(who, 1, Deadline::NEVER).unwrap();
                    thread::yield_now();
                    semaphore.raw().release(taken[0]);
                }
            });
        }
        let other = scope.spawn(|| {
            for _ in 0..20 {
                let taken = semaphore.acquire(5, 3, Deadline::NEVER).unwrap();
                semaphore.raw().release_all(&taken);
            }
        });
        for _ in 0..20 {
            let taken = semaphore.acquire(4, 4, Deadline::NEVER).unwrap();
            assert_eq!(semaphore.raw().available(), 0);
            semaphore.raw().release_all(&taken);
        }
        other.join().unwrap();
        stop.store(true, SeqCst); // no step: a test
    });
    assert_eq!(semaphore.raw().available(), 4);
    assert_eq!(semaphore.turnstile.load().first(), None);
}

#[test]
fn who_comes_first_and_gives_up_lets_the_others_go_on() {
    let semaphore = Semaphore::new(2);
    semaphore.hold(0, 7);
    semaphore.hold(1, 8);
    thread::scope(|scope| {
        let large = scope.spawn(|| {
            let deadline = Deadline::after(Duration::from_millis(30));
            semaphore.acquire(1, 2, deadline)
        });
        semaphore.until_watched();
        let small = scope.spawn(|| semaphore.acquire(2, 1, Deadline::NEVER));
        semaphore.raw().release(0);
        let large = large.join().unwrap();
        let small = small.join().unwrap();
        assert_eq!((large, small), (Err(Over::TimedOut), Ok(vec![0])));
    });
    assert_eq!(semaphore.turnstile.load().first(), None);
}

#[test]
fn a_damaged_count_leads_the_repair_nowhere_else() {
    let spec = Spec {
        body_len: 256,
        ..Spec::new(Kind::BoundedSemaphore)
    };
    let segment = Draft::anonymous(&spec).unwrap().publish(None).unwrap();
    let (place, _) = segment.body();
    let words = Offset::<PermitWord>::new(place + permits_len(0));
    let words = segment.slice(words, 8).unwrap();
    words
        .iter()
        .for_each(|word| word.0.store(DEAD.get(), SeqCst)); // no step: a test
    let head = segment.at(Offset::<BoundedHead>::new(place));
    let freed = || words.iter().take_while(|word| word.is_free()).count();
    for (count, len, those) in [
        (3, 0, 0),
        (1, permits_len(3), 1),
        (u32::MAX, permits_len(3), 3),
        (100, permits_len(5) + 1, 5),
    ] {
        head.prepare(count);
        repair_permits(&segment, (place, len), DEAD);
        assert_eq!(freed(), those, "{count} in {len}");
    }
}
