//! Round trips of one message.

use crate::bench::limits;
use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::{Kind, Mode};
use crate::bench::stage::{Place, Stage};
use crate::bench::transport::{Ends, Transport, Visitor, visit};
use crate::bench::work::{Errand, carry};
use crate::job::Ended;

/// From so many bytes on, a message's copies are a part of the round trip worth showing.
fn is_long(len: usize, mode: Mode) -> bool {
    match mode {
        Mode::Spin => len >= 1 << 10,
        Mode::Block => len >= 64 << 10,
    }
}

/// Every payload apart, and the shortest on one processor and in a crowd.
pub fn plans(stage: &Stage<'_>) -> Vec<Plan> {
    let payloads = &stage.settings.payloads;
    let cases = payloads.iter().map(|len| (*len, Place::Apart));
    let shortest = payloads.iter().min().copied().unwrap_or(8);
    let others = [(shortest, Place::One), (shortest, Place::Crowded)];
    let mut rows = Rows {
        plans: Vec::new(),
        mode: Mode::Spin,
        case: (shortest, Place::Apart),
        crowd: stage.crowded(),
    };
    for case in cases.chain(others) {
        for mode in &stage.settings.modes {
            rows.mode = *mode;
            rows.case = case;
            visit(case.0, &mut rows);
        }
    }
    rows.plans
}

/// Adds the row of each transport.
struct Rows {
    plans: Vec<Plan>,
    mode: Mode,
    case: (usize, Place),
    /// How many pairs are two processes on every processor.
    crowd: usize,
}

impl Visitor for Rows {
    fn visit<T: Transport>(&mut self) {
        let ((len, place), mode) = (self.case, self.mode);
        let pairs = if place == Place::Crowded {
            self.crowd
        } else {
            1
        };
        let about = About {
            payload: Some(len),
            mode: Some(mode),
            place,
            processes: 2 * pairs,
            ..About::new(Kind::Latency, T::NAME)
        };
        let ours = Contender::new(T::NAME, move |stage| {
            round_trip::<T>(stage, len, mode, place, pairs)
        });
        let mut beside = vec![limits::round_trip(mode, place, pairs)];
        if is_long(len, mode) {
            beside.push(limits::copied_twice(len));
        }
        self.plans.push(Plan::new(about, ours, beside));
    }
}

fn round_trip<T: Transport>(
    stage: &Stage<'_>,
    len: usize,
    mode: Mode,
    place: Place,
    pairs: usize,
) -> Result<Sample, Ended> {
    let pace = stage.pace(mode, place, T::warm_up(len));
    let one = Ends {
        senders: 1,
        receivers: 1,
    };
    let mut crews = Vec::new();
    for pair in 0..pairs {
        let (mut there_in, mut there_out) = T::open(len, one)?;
        let (mut back_in, mut back_out) = T::open(len, one)?;
        let mut crew = stage.crew(place, pair, 2)?;
        let len = len as u64;
        let (ask, answer) = (Errand::Ask { pace, len }, Errand::Answer { pace, len });
        crew.hire(carry::<T>, |s| (s, ask, there_in.pop(), back_out.pop()))?;
        crew.hire(carry::<T>, |s| (s, answer, back_in.pop(), there_out.pop()))?;
        crews.push(crew);
    }
    let mut reports = Vec::new();
    for crew in crews {
        reports.append(&mut crew.join(stage.signals)?);
    }
    Ok(Sample::of_times(&reports))
}
