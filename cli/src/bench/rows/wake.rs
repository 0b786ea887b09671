//! Wake-ups by an [`Event`], alone and among others, and by a [`Condition`].

use multiproc::{Condition, Event};

use crate::bench::limits;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::{Kind, Mode};
use crate::bench::stage::{Place, Stage};
use crate::bench::work::{Pace, notify, set, wait_for_any, wait_for_condition, wait_for_event};
use crate::job::Ended;

/// All, of waiters that are awake and that sleep, apart and on one processor.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let mut plans = Vec::new();
    let wakers: [(&str, Waker); 3] = [
        ("Event", event),
        ("wait_any of 16", any),
        ("Condition", condition),
    ];
    for (what, waker) in wakers {
        for place in [Place::Apart, Place::One] {
            for mode in &stage.settings.modes {
                // Nobody stays awake beside the one who is to wake him.
                if (*mode, place) != (Mode::Spin, Place::One) {
                    plans.push(plan(what, waker, *mode, place));
                }
            }
        }
    }
    plans
}

type Waker = fn(&Stage<'_>, Pace, Place) -> Result<Sample, Ended>;

fn plan(what: &str, waker: Waker, mode: Mode, place: Place) -> Plan {
    let about = About {
        mode: Some(mode),
        place,
        ..About::new(Kind::Wake, what)
    };
    let pace = move |stage: &Stage<'_>| pace(stage, mode, place);
    let ours = Contender::new(what, move |stage| waker(stage, pace(stage), place));
    Plan::new(about, ours, vec![limits::wake_up(mode, place, pace)])
}

/// Short breaks find the waiter awake, as it spins for some microseconds before it sleeps; long ones asleep.
fn pace(stage: &Stage<'_>, mode: Mode, place: Place) -> Pace {
    let pace = stage.pace(mode, place, 0);
    match mode {
        Mode::Spin => Pace {
            gap_ns: 2_000,
            ..pace
        },
        Mode::Block => pace,
    }
}

fn event(stage: &Stage<'_>, pace: Pace, place: Place) -> Result<Sample, Ended> {
    let event = Event::new()?;
    let mut crew = stage.crew(place, 0, 2)?;
    crew.hire(wait_for_event, |seat| (seat, event.clone()))?;
    crew.hire(set, |seat| (seat, pace, event))?;
    Ok(Sample::of_times(&crew.join(stage.signals)?))
}

fn any(stage: &Stage<'_>, pace: Pace, place: Place) -> Result<Sample, Ended> {
    let events = (0..16).map(|_| Event::new());
    let events = events.collect::<multiproc::Result<Vec<_>>>()?;
    let last = events[15].clone();
    let mut crew = stage.crew(place, 0, 2)?;
    crew.hire(wait_for_any, |seat| (seat, events.clone()))?;
    crew.hire(set, |seat| (seat, pace, last))?;
    Ok(Sample::of_times(&crew.join(stage.signals)?))
}

fn condition(stage: &Stage<'_>, pace: Pace, place: Place) -> Result<Sample, Ended> {
    let condition = Condition::new(0)?;
    let mut crew = stage.crew(place, 0, 2)?;
    crew.hire(wait_for_condition, |seat| (seat, condition.clone()))?;
    crew.hire(notify, |seat| (seat, pace, condition))?;
    Ok(Sample::of_times(&crew.join(stage.signals)?))
}
