//! Histories of one thing, made by the same processes one after the other: in each of them all processes call whatever it
//! offers, at the same time.

use std::fmt::Debug;

use multiproc::{Message, Process, Result, Value};

use super::checker::{Deed, Event, is_linearizable};
use super::record::{Random, meet, timed};
use super::{BATCH, batches, seed, workers};

/// Calls of one process in one history.
const CALLS: u64 = 14;

/// What was done: the history, when its call began and ended, and the deed.
pub type Noted<D> = (u64, u64, u64, D);

/// Which process of which batch this is, and where it meets the others.
pub type Seat = (u64, u64, Value<u64>);

/// What one process does in a batch: `renew`, by one of them before each history, makes the thing what it is at first;
/// `call` makes one call, of a random kind and with a value that no other call has, and says what was done by it, each deed
/// at some instant of the call.
pub fn work<D, C: IntoIterator<Item = D>>(
    (batch, number, meeting): Seat,
    renew: impl Fn() -> Result<()>,
    call: impl Fn(&mut Random, u64) -> Result<C>,
) -> Result<Vec<Noted<D>>> {
    let mut random = Random::of(seed(batch, number));
    let (mut value, mut noted) = (number << 48, Vec::new());
    for round in 0..BATCH {
        meet(&meeting);
        if number == 0 {
            renew()?;
        }
        meet(&meeting);
        for _ in 0..CALLS {
            value += 1;
            let (begin, end, deeds) = timed(|| call(&mut random, value))?;
            noted.extend(deeds.into_iter().map(|did| (round, begin, end, did)));
        }
    }
    Ok(noted)
}

/// Runs the batches, and has each history checked; `start` starts one process of a batch, and `first` is what the thing is
/// at first.
pub fn run<D: Deed + Message + Debug>(
    what: &str,
    first: &D::State,
    start: impl Fn(Seat) -> Result<Process<Vec<Noted<D>>>>,
) {
    let mut total = [0; 3];
    for batch in 0..batches() {
        let meeting = Value::new(0).expect("a value");
        let workers = (0..workers()).map(|number| start((batch, number, meeting.clone())));
        let workers: Vec<_> = workers.map(|worker| worker.expect("a worker")).collect();
        let noted = workers
            .iter()
            .map(|worker| worker.join().expect("a worker ends well"));
        for (round, history) in by_round(noted.flatten()).iter().enumerate() {
            let is_fine = is_linearizable(history, first.clone());
            assert!(is_fine, "{what}, round {round}: {history:#?}");
            let beside = |event: &&Event<D>| {
                let is_in = |other: &Event<D>| other.begin < event.begin && event.begin < other.end;
                history.iter().any(is_in)
            };
            total[0] += 1;
            total[1] += history.len();
            total[2] += history.iter().filter(beside).count();
        }
    }
    let [histories, deeds, beside] = total;
    println!(
        "linear: {what}: {histories} histories, {deeds} deeds, {beside} of them beside others"
    );
}

fn by_round<D>(noted: impl Iterator<Item = Noted<D>>) -> Vec<Vec<Event<D>>> {
    let mut rounds: Vec<Vec<_>> = (0..BATCH).map(|_| Vec::new()).collect();
    for (round, begin, end, did) in noted {
        rounds[round as usize].push(Event { begin, end, did });
    }
    for history in &mut rounds {
        history.sort_by_key(|event| event.begin);
    }
    rounds
}

/// Whether these could have been done one after the other, each between its begin and its end.
#[cfg(test)]
pub fn has_an_order<D: Deed + Copy>(first: D::State, history: &[(u64, u64, D)]) -> bool {
    let event = |&(begin, end, did)| Event { begin, end, did };
    is_linearizable(&history.iter().map(event).collect::<Vec<_>>(), first)
}
