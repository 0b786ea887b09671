use super::*;
use crate::sys::atomic::Ordering::SeqCst;

/// A queue in private memory, and who of its waiters is dead.
struct World {
    tail: AtomicU64,
    ring: WaiterRing,
    dead: AtomicU64,
    /// How often anybody was rung for.
    rung: AtomicU64,
}

impl Oracle for World {
    fn is_alive(&self, who: Participant) -> bool {
        self.dead.load(SeqCst) & 1 << who.get() == 0
    }
}

impl Bells for World {
    fn ring(&self, _: Address) {
        // no step: a count of the test
        self.rung.fetch_add(1, SeqCst);
    }
}

const ME: Participant = Participant::FIRST;

fn other(who: u16) -> Participant {
    Participant::new(who).unwrap()
}

impl World {
    fn new() -> Self {
        World {
            tail: AtomicU64::new(0),
            ring: WaiterRing::new(),
            dead: AtomicU64::new(0),
            rung: AtomicU64::new(0),
        }
    }

    fn waiters(&self) -> Waiters<'_> {
        Waiters {
            tail: &self.tail,
            ring: &self.ring,
        }
    }

    fn enter(&self, who: Participant) -> Ticket {
        self.waiters().enter(who).expect("room")
    }

    fn notify(&self, most: u32) -> u32 {
        self.waiters().notify(most, self)
    }

    /// Looks once, and leaves notified or not.
    fn was_notified(&self, ticket: Ticket) -> bool {
        let outcome = self
            .waiters()
            .wait(ticket, Deadline::NOW.into(), self, &|| false);
        if outcome == Outcome::Notified {
            self.waiters().leave(ticket);
        }
        outcome == Outcome::Notified
    }

    fn fall_asleep(&self, ticket: Ticket) {
        self.waiters().sleep(ticket, ticket.taken, Deadline::NOW);
    }

    fn resign(&self, ticket: Ticket) {
        self.waiters().resign(ticket, self);
    }

    fn bury(&self, who: Participant) {
        // no step: the oracle of the test
        self.dead.fetch_or(1 << who.get(), SeqCst);
    }

    fn is_empty(&self) -> bool {
        let entries = self.ring.entries.iter();
        entries
            .into_iter()
            .all(|e| Word(e.load(SeqCst)).owner().is_none())
    }
}

#[test]
fn nobody_is_notified_where_nobody_waits() {
    let world = World::new();
    assert_eq!(world.notify(u32::MAX), 0);
    let late = world.enter(ME);
    assert!(!world.was_notified(late), "the notification came before it");
    assert_eq!(world.notify(1), 0, "it has left");
}

#[test]
fn those_who_came_first_are_notified_and_no_more_than_asked_for() {
    let world = World::new();
    let tickets = [(); 5].map(|()| world.enter(ME));
    assert_eq!(world.notify(0), 0);
    assert_eq!(world.notify(2), 2);
    assert_eq!(world.notify(1), 1);
    let notified = tickets.map(|ticket| world.was_notified(ticket));
    assert_eq!(notified, [true, true, true, false, false]);
    assert!(world.is_empty());
}

#[test]
fn who_leaves_in_time_is_passed_over() {
    let world = World::new();
    let tickets = [(); 4].map(|()| world.enter(ME));
    assert!(!world.was_notified(tickets[0]) && !world.was_notified(tickets[2]));
    assert_eq!(world.notify(5), 2);
    assert!(world.was_notified(tickets[1]) && world.was_notified(tickets[3]));
}

#[test]
fn a_notification_that_comes_first_beats_the_end_of_the_time() {
    let world = World::new();
    let ticket = world.enter(ME);
    assert_eq!(world.notify(1), 1);
    assert!(!world.waiters().withdraw(ticket));
    assert!(world.was_notified(ticket));
}

#[test]
fn watchers_are_rung_for_one_by_one_and_no_others() {
    let world = World::new();
    let [first, second, asleep, idle] = [(); 4].map(|()| world.enter(ME));
    for ticket in [first, second, second] {
        world.waiters().watch(ticket);
    }
    world.fall_asleep(asleep);
    for (rings, ticket) in [(1, first), (2, second), (2, asleep), (2, idle)] {
        assert_eq!(world.notify(1), 1);
        assert_eq!(world.rung.load(SeqCst), rings);
        assert!(world.waiters().is_over(ticket) && world.waiters().is_notified(ticket));
        world.waiters().watch(ticket); // too late for it
        assert!(world.was_notified(ticket) && !world.waiters().is_notified(ticket));
    }
    assert!(world.is_empty());
}

#[test]
fn who_resigns_passes_its_notification_on_and_no_more_than_that() {
    let world = World::new();
    let [first, second, third] = [(); 3].map(|()| world.enter(ME));
    world.waiters().watch(first);
    world.resign(second); // without one
    assert_eq!(world.notify(1), 1);
    assert!(!world.waiters().is_over(third));
    world.resign(first);
    assert!(world.waiters().is_notified(third));
    world.waiters().finish(third);
    for ticket in [first, second, third] {
        world.resign(ticket); // has left already
        assert!(world.waiters().is_over(ticket));
    }
    let late = world.enter(ME);
    assert!(!world.was_notified(late));
    assert!(world.is_empty());
}

#[test]
fn who_has_the_lock_again_leaves_notified_or_not() {
    let world = World::new();
    let tickets = [(); 3].map(|()| world.enter(ME));
    world.waiters().watch(tickets[0]);
    assert_eq!(world.notify(2), 2);
    for ticket in tickets {
        world.waiters().finish(ticket);
    }
    assert!(world.is_empty());
}

#[test]
fn dead_watchers_are_not_counted_as_notified() {
    let world = World::new();
    let dead = [2, 3].map(|who| world.enter(other(who)));
    let living = world.enter(ME);
    for (who, ticket) in [2, 3].into_iter().zip(dead) {
        world.waiters().watch(ticket);
        world.bury(other(who));
    }
    assert_eq!(world.notify(1), 1);
    assert!(world.was_notified(living));
    assert_eq!(world.rung.load(SeqCst), 0);
    assert!(world.is_empty(), "the dead are still in the queue");
}

/// One who stays while others come and go, for longer than the ring is long: it is still the first in the order.
#[test]
fn order_outlasts_the_length_of_the_ring() {
    let world = World::new();
    let patient = world.enter(ME);
    let second = world.enter(ME);
    for _ in 0..3 * ENTRIES {
        let hasty = world.enter(other(2));
        assert!(!world.was_notified(hasty));
    }
    let late = [(); 3].map(|()| world.enter(other(3)));
    assert_eq!(world.notify(1), 1);
    assert!(world.was_notified(patient));
    assert_eq!(world.notify(3), 3);
    assert!(world.was_notified(second));
    let notified = late.map(|ticket| world.was_notified(ticket));
    assert_eq!(notified, [true, true, false]);
    assert_eq!(world.notify(3), 0);
    assert!(world.is_empty());
}

#[test]
fn a_full_ring_takes_nobody_until_somebody_leaves() {
    let world = World::new();
    let tickets: Vec<Ticket> = (0..ENTRIES).map(|_| world.enter(ME)).collect();
    assert!(world.waiters().enter(ME).is_none());
    assert!(!world.was_notified(tickets[500]));
    let late = world.enter(ME);
    assert_eq!(world.notify(u32::MAX), ENTRIES as u32);
    assert!(world.was_notified(late));
}

#[test]
fn the_dead_are_not_counted_as_notified() {
    let world = World::new();
    let dead = [2, 3].map(|who| world.enter(other(who)));
    let living = world.enter(ME);
    dead.iter().for_each(|&ticket| world.fall_asleep(ticket));
    [2, 3].iter().for_each(|&who| world.bury(other(who)));
    assert_eq!(world.notify(1), 1);
    assert!(world.was_notified(living));
    assert!(world.is_empty(), "the dead are still in the queue");
}

#[test]
fn repair_passes_on_what_the_dead_had_not_woken_up_to() {
    let world = World::new();
    let victim = other(2);
    for _ in 0..3 {
        world.enter(victim);
    }
    let living = [(); 3].map(|()| world.enter(ME));
    assert_eq!(world.notify(2), 2);
    world.bury(victim);
    world.waiters().repair(victim, &world);
    world.waiters().repair(victim, &world);
    let notified = living.map(|ticket| world.was_notified(ticket));
    assert_eq!(notified, [true, true, false]);
    assert!(world.is_empty());
}

#[test]
fn a_lock_left_by_the_dead_ends_a_wait_after_a_slice() {
    let world = World::new();
    let ticket = world.enter(ME);
    let forever = Deadline::NEVER.into();
    let outcome = world.waiters().wait(ticket, forever, &world, &|| true);
    assert_eq!(outcome, Outcome::Orphaned);
    assert!(world.is_empty());
}

#[test]
fn sleepers_are_woken_one_by_one() {
    let world = World::new();
    let tickets = [(); 3].map(|()| world.enter(ME));
    std::thread::scope(|scope| {
        let sleepers = tickets.map(|ticket| {
            let forever = Deadline::NEVER.into();
            let world = &world;
            scope.spawn(move || world.waiters().wait(ticket, forever, world, &|| false))
        });
        for sleeper in sleepers {
            assert_eq!(world.notify(1), 1);
            assert_eq!(sleeper.join().unwrap(), Outcome::Notified);
        }
    });
}

#[test]
fn a_scribbled_queue_harms_nobody() {
    for (head, tail) in [(0, u64::MAX), (u64::MAX, 3), (1 << 60, u64::MAX - 5)] {
        let world = World::new();
        // no step: the scribbler of the test
        world.ring.head.store(head, SeqCst);
        world.tail.store(tail, SeqCst);
        let ticket = world.waiters().enter(ME);
        world.notify(u32::MAX);
        ticket.map(|ticket| world.was_notified(ticket));
        for entry in &world.ring.entries {
            // no step: as above
            entry.store(u64::MAX, SeqCst);
        }
        assert!(world.waiters().enter(ME).is_none());
        assert_eq!(world.notify(3), 0);
        world.waiters().repair(ME, &world);
    }
}
