//! Every operation killed before its every step, and some of the recoveries as well.

use super::names::Place;
use super::*;
use crate::sys::crash::at_every_step;
use crate::sys::step;
use crate::tenancy::Object;

/// Counts repairs in word 0, where every process sees them.
struct Tally;

impl Repair for Tally {
    fn repair(&self, segment: &Arc<Segment>, _: Participant) {
        let body = Offset::<AtomicU32>::new(segment.body().0);
        // A step of its own, so that a sweeper dies in the middle of a repair, too.
        step::step("test.repair");
        segment.at(body).fetch_add(1, SeqCst);
    }

    fn leave(&self, _: &Arc<Segment>, _: Participant) {}
}

fn tallied() -> Arc<Tenant> {
    Tenant::create(None, &spec(), no_init, Arc::new(Tally)).unwrap()
}

fn attach(raw: &RawHandle) -> Arc<Tenant> {
    Tenant::attach(raw, &Expect::from(&spec()), Arc::new(Tally)).unwrap()
}

/// A process like one that was started by exec: what its parent holds is not its own.
fn stranger() {
    super::super::registry::forget_all();
    super::super::object::forget_all();
}

/// After a sweep only this process is left, and the lowest slots are free for newcomers.
fn is_clean(tenant: &Arc<Tenant>) {
    tenant.sweep();
    assert_eq!(
        tenant.roster().occupied().collect::<Vec<_>>(),
        [tenant.me()]
    );
    let (actor, who) = member(tenant);
    assert_eq!(who.get(), 2);
    actor.kill();
    tenant.sweep();
}

#[test]
fn joining_and_leaving() {
    alone(|| {
        let tenant = tallied();
        let raw = tenant.handle(0, 0);
        let come_and_go = |_: &()| {
            stranger();
            drop(attach(&raw));
        };
        let steps = at_every_step(|| (), come_and_go, |()| is_clean(&tenant));
        println!("join and leave: {steps} steps");
        assert!(steps > 10);
    });
}

#[test]
fn creating_and_removing() {
    alone(|| {
        let place = Place::new();
        let name = Name::parse("jobs").unwrap();
        let init = |segment: &Segment| {
            let body = Offset::<AtomicU32>::new(segment.body().0);
            set(segment.at(body), 7);
            Ok(())
        };
        let create_and_drop = |_: &()| {
            let directory = &place.directory;
            drop(Tenant::create_in(directory, &name, &spec(), init, nothing()).unwrap());
        };
        let check = |_: &()| {
            match place.open("jobs") {
                Ok(left) => assert_eq!(get(word(&left, 0)), 7, "born complete"),
                Err(absent) => assert_eq!(absent.kind(), ErrorKind::NotFound),
            }
            assert!(place.names().is_empty(), "the last one out removed it");
        };
        let steps = at_every_step(|| (), create_and_drop, check);
        println!("create and drop: {steps} steps");
        assert!(steps > 10);
    });
}

#[test]
fn collecting() {
    alone(|| {
        let place = Place::new();
        let abandon = || {
            let mut creator = Actor::start(|line| {
                let _jobs = place.create("jobs").unwrap();
                line.say(1);
                line.hear();
            });
            assert_eq!(creator.hear(), 1);
            creator.kill();
        };
        let check = |_: &()| {
            place.gc();
            assert!(place.names().is_empty());
            drop(place.create("jobs").unwrap());
        };
        let steps = at_every_step(abandon, |()| drop(place.gc()), check);
        println!("gc: {steps} steps");
        assert!(steps > 4);
    });
}

#[test]
fn removing_by_name() {
    alone(|| {
        let place = Place::new();
        let name = Name::parse("jobs").unwrap();
        let prepare = || place.open_or_create("jobs").unwrap();
        let check = |living: &Arc<Tenant>| {
            assert!(living.segment().header().is_live());
            match Tenant::remove_in(&place.directory, &name) {
                Ok(()) => {}
                Err(gone) => assert_eq!(gone.kind(), ErrorKind::NotFound),
            }
        };
        let remove = |_: &Arc<Tenant>| drop(Tenant::remove_in(&place.directory, &name));
        let steps = at_every_step(prepare, remove, check);
        println!("remove: {steps} steps");
        assert!(steps > 2);
    });
}

/// The first sweeper dies before its n-th step, the second before its m-th; the third finds everything repairable.
#[test]
fn sweeping_and_sweeping_up_after_the_sweeper() {
    alone(|| {
        let tenant = tallied();
        let victim = || {
            set(word(&tenant, 0), 0);
            let (victim, who) = member(&tenant);
            victim.kill();
            who
        };
        let sweep_until = |n| {
            let sweeper = Actor::start(|_| {
                step::arm(n);
                tenant.sweep();
            });
            sweeper.join() == 0
        };
        let check = |who: &Participant| {
            tenant.sweep();
            assert!(get(word(&tenant, 0)) > 0, "freed without a repair");
            assert!(tenant.roster().member(*who).is_none());
            is_clean(&tenant);
        };
        let mut pairs = 0;
        for n in 0.. {
            let prepare = || {
                let who = victim();
                sweep_until(n);
                who
            };
            pairs += at_every_step(prepare, |_| assert!(tenant.sweep() < 9), check);
            victim();
            let survived = sweep_until(n);
            tenant.sweep();
            if survived {
                break;
            }
        }
        println!("sweep after sweep: {pairs} pairs of steps");
        assert!(pairs > 100);
    });
}

#[test]
fn small_objects() {
    alone(|| {
        let what = Expect::from(&Spec::new(Kind::Value));
        let value = || Object::create(&what, 8).unwrap();
        let mine = value();
        let raw = mine.handle(0);
        let offset_of_next = || value().handle(0).offset;
        let next = offset_of_next();
        let work = |_: &()| {
            stranger();
            let theirs = Object::attach(&raw, &what).unwrap();
            let fresh = value();
            assert_eq!(fresh.segment().id(), raw.segment);
            drop((theirs, fresh));
        };
        let check = |_: &()| {
            Object::attach(&raw, &what).expect("in use by this process all the time");
            mine.tenant().sweep();
            mine.reclaim();
            assert_eq!(
                offset_of_next(),
                next,
                "nothing but the living keeps a block"
            );
        };
        let steps = at_every_step(|| (), work, check);
        println!("small objects: {steps} steps");
        assert!(steps > 20);
    });
}
