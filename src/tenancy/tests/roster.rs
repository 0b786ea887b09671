//! Joining, dying, cleaning up.

use super::*;
use crate::sys::clock::Deadline;

#[test]
fn death_is_seen_as_death() {
    let (tenant, notes) = noted();
    let (actor, who) = member(&tenant);
    assert_ne!(who, tenant.me());
    assert!(tenant.is_alive(who) && tenant.is_alive(tenant.me()));
    assert_eq!(tenant.members().len(), 2);
    assert_eq!(tenant.sweep(), 0);
    actor.kill();
    assert!(!tenant.is_alive(who));
    assert_eq!(tenant.members().len(), 1);
    assert!(notes.read().is_empty());
    assert_eq!(tenant.sweep(), 1);
    assert_eq!(notes.read(), [who.get()]);
    assert_eq!(tenant.sweep(), 0);
}

#[test]
fn a_stopped_member_is_alive() {
    let (tenant, notes) = noted();
    let (actor, who) = member(&tenant);
    actor.stop();
    assert!(tenant.is_alive(who));
    assert_eq!(tenant.sweep(), 0);
    assert!(notes.read().is_empty());
    actor.go_on();
}

#[test]
fn a_slot_is_not_reused_before_its_repair() {
    let (tenant, notes) = noted();
    let (first, dead) = member(&tenant);
    let generation = |who| tenant.roster().member(who).unwrap().generation;
    let before = generation(dead);
    first.kill();
    let (second, other) = member(&tenant);
    assert_ne!(other, dead);
    assert!(notes.read().is_empty());
    tenant.sweep();
    let (_third, again) = member(&tenant);
    assert_eq!((again, generation(again)), (dead, before + 1));
    assert_eq!(notes.read(), [dead.get()]);
    second.kill();
}

#[test]
fn who_leaves_frees_its_slot() {
    let (tenant, notes) = noted();
    let mut actor = Actor::start(|line| {
        let raw = RawHandle::from_bytes(&line.receive());
        super::super::registry::forget_all();
        let mine = Tenant::attach(&raw, &Expect::from(&spec()), nothing()).unwrap();
        line.say(mine.me().get() as u8);
        line.hear();
        drop(mine);
        line.say(1);
        line.hear();
    });
    actor.send(&tenant.handle(0, 0).to_bytes());
    let who = Participant::new(actor.hear().into()).unwrap();
    assert!(tenant.is_alive(who));
    actor.say(1);
    actor.hear();
    assert!(!tenant.is_alive(who) && tenant.roster().member(who).is_none());
    assert_eq!((tenant.sweep(), notes.read()), (0, vec![]));
}

/// Repairs only when word 1 allows it, and counts in word 0.
struct Slow;

impl Repair for Slow {
    fn repair(&self, segment: &Arc<Segment>, _: Participant) {
        let body = Offset::<AtomicU32>::new(segment.body().0);
        // no step: the tests count with it
        segment.at(body).fetch_add(1, SeqCst);
        wait_until(|| segment.at(body.nth(1)).load(SeqCst) != 0);
    }
}

/// Waits, but not for ever: nobody may be left to end an orphan.
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(60));
    while !done() {
        assert!(!deadline.expired(), "nobody came");
        std::thread::yield_now();
    }
}

fn wait_for(word: &AtomicU32, value: u32) {
    wait_until(|| word.load(SeqCst) == value);
}

#[test]
fn a_sweeper_that_dies_or_stops_holds_nobody_up() {
    let tenant = Tenant::create(None, &spec(), no_init, Arc::new(Slow)).unwrap();
    let (actor, dead) = member(&tenant);
    let sweeper = || Actor::start(|_| assert!(tenant.sweep() < 3));
    actor.kill();
    let (killed, mut stopped) = (sweeper(), sweeper());
    wait_for(word(&tenant, 0), 2);
    killed.kill();
    stopped.stop();
    assert!(
        !tenant.is_alive(dead),
        "the dead stay dead while they are cleaned up after"
    );
    set(word(&tenant, 1), 1);
    // Two dead: the member and the killed sweeper.
    assert_eq!(tenant.sweep(), 2);
    let (later, other) = member(&tenant);
    assert_ne!(other, dead, "the stopped sweeper may still be repairing");
    stopped.go_on();
    stopped = {
        drop(stopped);
        sweeper()
    };
    assert_eq!(stopped.join(), 0);
    tenant.sweep();
    let (_last, again) = member(&tenant);
    assert_eq!(again, dead);
    later.kill();
}

#[test]
fn a_forked_child_is_a_member_of_its_own() {
    let tenant = anonymous();
    let me = tenant.me();
    // A child that has not used what it inherited keeps no lock of its parent.
    let mut parent = Actor::start(|line| {
        let mine = tenant.me();
        set(word(&tenant, 0), mine.get().into());
        let mut child = Actor::start(|line| {
            assert!(!tenant.is_me(mine));
            line.say(1);
            wait_for(word(&tenant, 1), 1);
            set(word(&tenant, 2), tenant.me().get().into());
            wait_for(word(&tenant, 1), 2);
        });
        line.say(child.hear());
        line.hear();
    });
    assert_eq!(parent.hear(), 1);
    let theirs = Participant::new(get(word(&tenant, 0)) as u16).unwrap();
    assert!(theirs != me && tenant.is_alive(theirs));
    parent.kill();
    assert!(
        !tenant.is_alive(theirs),
        "the child has replaced its parent's description"
    );
    set(word(&tenant, 1), 1);
    wait_until(|| get(word(&tenant, 2)) != 0);
    let childs = Participant::new(get(word(&tenant, 2)) as u16).unwrap();
    assert!(childs != me && childs != theirs && tenant.is_alive(childs));
    set(word(&tenant, 1), 2);
}

#[test]
fn roles_are_counted_by_process_and_die_with_it() {
    const PRODUCER: usize = 0;
    let tenant = anonymous();
    assert_eq!(tenant.count_live_with(PRODUCER), 0);
    let mut actor = Actor::start(|line| {
        tenant.take_role(PRODUCER);
        tenant.take_role(PRODUCER);
        tenant.drop_role(PRODUCER);
        line.say(1);
        line.hear();
    });
    actor.hear();
    assert_eq!(tenant.count_live_with(PRODUCER), 1);
    tenant.take_role(PRODUCER);
    assert_eq!(
        (tenant.count_live_with(PRODUCER), tenant.own_role(PRODUCER)),
        (2, 1)
    );
    assert_eq!(tenant.count_live_with(1), 0);
    actor.kill();
    assert_eq!(tenant.count_live_with(PRODUCER), 1);
    tenant.drop_role(PRODUCER);
    assert_eq!(tenant.count_live_with(PRODUCER), 0);
}

#[test]
fn one_sleeper_per_period_keeps_vigil() {
    let tenant = anonymous();
    let (actor, _) = member(&tenant);
    actor.kill();
    let hour = Duration::from_secs(3600);
    assert_eq!(tenant.vigil(hour), 1);
    let (actor, _) = member(&tenant);
    actor.kill();
    assert_eq!(tenant.vigil(hour), 0, "it is not time yet");
    let next = &tenant.segment().header().roster_words()[0];
    // no step: as if from another clock
    next.store(u64::MAX, SeqCst);
    assert_eq!(tenant.vigil(hour), 1);
}

#[test]
fn a_thousand_members_fit() {
    let tenant = anonymous();
    let join = |_| {
        let segment = Segment::open(fd::reopen(tenant.segment().fd()).unwrap(), None).unwrap();
        Tenant::visit(segment, None, nothing()).unwrap()
    };
    let others: Vec<Tenant> = (0..1000).map(join).collect();
    let mut slots: Vec<_> = others.iter().map(|t| t.me()).chain([tenant.me()]).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), 1001);
    assert_eq!(slots.last().unwrap().get(), 1001, "slots are dense");
    assert!(slots.iter().all(|&who| tenant.is_alive(who)));
    drop(others);
    assert_eq!(tenant.members().len(), 1);
}
