//! What an entry of a dictionary takes of a manager's memory.

use multiproc::{Dict, Manager};

use crate::bench::row::{About, Contender, Plan, Sample};
use crate::bench::settings::Kind;
use crate::bench::stage::Stage;
use crate::bench::stats::Unit;
use crate::job::Ended;

/// A value: a line of most processors.
type Value = [u8; 64];

/// The bytes that an entry is made of.
const BARE: usize = size_of::<u64>() + size_of::<Value>();

/// Between two looks whether a signal has come.
const BATCH: u64 = 1 << 16;

/// Inserted once; and when all of them were replaced several times.
pub fn plans() -> Vec<Plan> {
    [("Dict, an entry", 0), ("Dict, an entry replaced", 3)]
        .map(|(what, turns)| plan(what, turns))
        .into()
}

/// A row of so many replacements of each entry.
fn plan(what: &str, turns: u64) -> Plan {
    let about = About {
        processes: 1,
        unit: Unit::Bytes,
        ..About::new(Kind::Manager, what)
    };
    let ours = Contender::new(what, move |stage| filled(stage, turns));
    let bare = Contender::new("key and value", |_| Ok(Sample::of(BARE as f64)));
    Plan::new(about, ours, vec![bare])
}

/// Bytes for each entry of a dictionary that was filled.
fn filled(stage: &Stage<'_>, turns: u64) -> Result<Sample, Ended> {
    let entries = if stage.settings.quick {
        100_000
    } else {
        1_000_000
    };
    let manager = Manager::new()?;
    let dict = manager.dict::<u64, Value>("entries")?;
    let before = manager.size();
    for turn in 0..=turns {
        fill(stage, &dict, entries, turn)?;
    }
    let bytes = manager.size() - before;
    Ok(Sample::of(bytes as f64 / entries as f64))
}

fn fill(stage: &Stage<'_>, dict: &Dict<u64, Value>, entries: u64, turn: u64) -> Result<(), Ended> {
    for key in 0..entries {
        dict.insert(&key, [turn as u8; 64])
            .map_err(multiproc::Error::from)?;
        if key % BATCH == 0
            && let Some(status) = stage.signals.status()
        {
            return Err(Ended::Interrupted(status));
        }
    }
    Ok(())
}
