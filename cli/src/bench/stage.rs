//! What every run needs: what was asked for, the processors, and who is told that it must end.

use multiproc::Result;

use super::crew::Crew;
use super::settings::{Mode, Settings};
use super::sys;
use super::work::Pace;
use crate::interrupt::Deferred;

/// Where processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Each on a processor of its own, as far as there are so many.
    Apart,
    /// All on one processor.
    One,
    /// Two on every processor.
    Crowded,
}

impl Place {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Place::Apart => "apart",
            Place::One => "one processor",
            Place::Crowded => "oversubscribed",
        }
    }
}

/// The scene of all runs.
#[derive(Debug)]
pub struct Stage<'a> {
    pub settings: &'a Settings,
    /// Those that are used, in the order in which workers get them.
    pub cpus: Vec<u32>,
    pub signals: &'a Deferred<'a>,
}

impl<'a> Stage<'a> {
    /// A stage on the processors that this process may use.
    pub fn new(settings: &'a Settings, signals: &'a Deferred<'a>) -> Self {
        Stage {
            settings,
            cpus: apart(sys::allowed_cpus(), &siblings),
            signals,
        }
    }

    /// A crew of so many, the first one on the processor with this index.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn crew(&self, place: Place, first: usize, parties: usize) -> Result<Crew> {
        Crew::new(self.cpus(place, first, parties), parties)
    }

    /// The processors of so many workers.
    pub fn cpus(&self, place: Place, first: usize, parties: usize) -> Vec<u32> {
        let used = match place {
            Place::One => 1,
            Place::Apart => self.cpus.len(),
            Place::Crowded => self.crowded(),
        };
        let of = |worker| self.cpus[(first + worker) % used];
        (0..parties).map(of).collect()
    }

    /// How many processors have two processes each, in a crowd: few, lest descriptors run out.
    pub fn crowded(&self) -> usize {
        self.cpus.len().min(8)
    }

    /// How long the part of a run that counts takes.
    pub fn span_ns(&self) -> u64 {
        self.settings.span().as_nanos() as u64
    }

    /// A pace for single times; who blocks has fallen asleep before each.
    pub fn pace(&self, mode: Mode, place: Place, warm: u64) -> Pace {
        let (gap_ns, warm) = match mode {
            Mode::Spin => (0, warm),
            // The futex would sleep through each: a few are enough.
            Mode::Block => (ASLEEP_NS, warm.min(32)),
        };
        Pace {
            samples: self.settings.samples(),
            warm,
            limit_ns: 4 * self.span_ns(),
            gap_ns,
            rest: place != Place::Apart,
            spin: mode == Mode::Spin,
        }
    }
}

/// After so long, whoever waits has fallen asleep: the library spins for 6 us before.
const ASLEEP_NS: u64 = 200_000;

/// The processors in an order in which those that share a core with an earlier one come last.
fn apart(cpus: Vec<u32>, siblings: &dyn Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for cpu in cpus {
        let shares = siblings(cpu).iter().any(|other| first.contains(other));
        if shares { &mut second } else { &mut first }.push(cpu);
    }
    first.append(&mut second);
    first
}

/// The processors of the same core, itself included, as far as the system says.
fn siblings(cpu: u32) -> Vec<u32> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    list(&text)
}

/// Reads `0-3,8,10-11`.
fn list(text: &str) -> Vec<u32> {
    let parts = text.trim().split(',');
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    parts.filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_of_one_core_come_last() {
        let pairs = |cpu: u32| vec![cpu & !1, cpu | 1];
        assert_eq!(apart(vec![0, 1, 2, 3], &pairs), [0, 2, 1, 3]);
        assert_eq!(apart(vec![3, 5], &|_| Vec::new()), [3, 5]);
    }

    #[test]
    fn lists_of_processors() {
        assert_eq!(list("0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(list(""), [0; 0]);
    }
}
