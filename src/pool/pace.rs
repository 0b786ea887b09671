//! How long the tasks of a function take, as workers say it, and how many of them make a chunk.

use crate::value::Value;

/// What a worker says of the function that it runs: `{routine:32 | time of a task:32}`, the time in sixteenths of a
/// nanosecond; 0 before it has looked.
pub(super) type Told = Value<u64>;

/// Of the last tasks of a function: how long each took, in sixteenths of a nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pace(u32);

const FRACTION: u64 = 16;

/// What a chunk is worth at most, in nanoseconds: long enough to make little of what it costs to take one, and short enough
/// for who waits for its first result.
const MOST: u64 = 30_000;

/// And at least, where there is enough to do.
const LEAST: u64 = 5_000;

/// Each worker is to take so many more chunks of what is left.
const SHARES: usize = 4;

/// So many times as long as before, and no longer, tasks can seem to take.
const LEAP: u32 = 8;

/// One in so many tasks may be in the last chunk.
const PROVEN: usize = 64;

impl Pace {
    /// That of `count` tasks which took so long together.
    pub(super) fn of(nanos: u64, count: usize) -> Self {
        let each = nanos.saturating_mul(FRACTION) / (count as u64).max(1);
        Pace(u32::try_from(each).unwrap_or(u32::MAX).max(1))
    }

    /// That after another chunk, of `count` tasks. A worker that was not let run for a while takes its tasks for long ones:
    /// they become so by and by only, and short again at once.
    pub(super) fn after(self, before: Option<Pace>, count: usize) -> Self {
        let Some(Pace(before)) = before else {
            return self;
        };
        let now = self.0.min(before.saturating_mul(LEAP));
        Pace(match now < before || count < SHARES {
            true => now / 2 + before / 2 + 1,
            false => before + (now - before) / 4,
        })
    }

    pub(super) fn told(self, routine: u64) -> u64 {
        routine << 32 | u64::from(self.0)
    }

    /// What a worker has told of this routine.
    pub(super) fn heard(told: u64, routine: u64) -> Option<Pace> {
        let is_known = told as u32 != 0 && told >> 32 == routine & 0xffff_ffff;
        is_known.then_some(Pace(told as u32))
    }

    /// How many nanoseconds so many tasks last for a worker that told this.
    pub(super) fn lasts(told: u64, tasks: usize) -> Option<u64> {
        let pace = Pace::heard(told, told >> 32)?;
        Some(u64::from(pace.0).saturating_mul(tasks as u64) / FRACTION)
    }

    /// Tasks that last for so many nanoseconds.
    fn tasks(self, nanos: u64) -> usize {
        (nanos * FRACTION / u64::from(self.0)).max(1) as usize
    }

    /// How many of the `left` tasks are to make the next chunk, after `given` others: a share of them, so that all workers end
    /// together.
    pub(super) fn chunk(self, left: usize, given: u64, workers: usize) -> usize {
        let share = left / (SHARES * workers);
        // Few tasks go to all workers, whatever is known of others; at the end of many it is known what they take.
        let few = left.div_ceil(2 * workers).max(given as usize / PROVEN);
        let least = self.tasks(LEAST).min(few);
        share.max(least).min(self.tasks(MOST)).max(1)
    }
}

/// What was told of the routines that were run last.
#[derive(Debug, Default)]
pub(super) struct Paces(Vec<(u64, Pace)>);

/// Of so many routines.
const KNOWN: usize = 16;

impl Paces {
    /// A worker tells this.
    pub(super) fn hear(&mut self, told: u64) {
        let routine = told >> 32;
        let Some(pace) = Pace::heard(told, routine) else {
            return;
        };
        match self.0.iter_mut().find(|(known, _)| *known == routine) {
            Some(known) => known.1 = pace,
            None => {
                self.0.truncate(KNOWN - 1);
                self.0.insert(0, (routine, pace));
            }
        }
    }

    /// How long tasks of this routine take, if that is known.
    pub(super) fn of(&self, routine: u64) -> Option<Pace> {
        let routine = routine & 0xffff_ffff;
        let known = self.0.iter().find(|(known, _)| *known == routine);
        known.map(|(_, pace)| *pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_tasks_go_by_the_thousand_and_long_ones_alone() {
        let cheap = Pace::of(10_000, 1000);
        assert_eq!(cheap.chunk(10_000, 0, 2), 1250);
        assert_eq!(cheap.chunk(1_000_000, 0, 2), 3000);
        assert_eq!(cheap.chunk(300, 0, 2), 75);
        assert_eq!(cheap.chunk(3, 0, 2), 1);
        assert_eq!(cheap.chunk(300, 9_700, 2), 151);
        assert_eq!(Pace::of(u64::MAX, 1).chunk(10_000, 0, 2), 1);
        assert_eq!(Pace::of(100_000, 1).chunk(10_000, 0, 2), 1);
        assert_eq!(Pace::of(10_000, 1).chunk(10_000, 0, 2), 3);
        assert!(Pace::of(0, 0).chunk(usize::MAX, 0, 2) > 100_000);
    }

    #[test]
    fn the_routines_that_were_run_last_are_known() {
        let mut paces = Paces::default();
        paces.hear(0);
        for routine in 0..20 {
            paces.hear(Pace(7).told(routine));
        }
        paces.hear(Pace(9).told(19));
        assert_eq!(
            [3, 4, 19].map(|n| paces.of(n)),
            [None, Some(Pace(7)), Some(Pace(9))]
        );
    }

    #[test]
    fn a_worker_speaks_of_one_routine() {
        let pace = Pace::of(500, 1);
        let told = pace.told(0x12_3456_7890);
        assert_eq!(Pace::heard(told, 0x12_3456_7890), Some(pace));
        assert_eq!(Pace::heard(told, 0x12_3456_7891), None);
        assert_eq!(Pace::heard(0, 0), None);
        assert_eq!(
            (Pace::lasts(told, 3), Pace::lasts(0, 3)),
            (Some(1500), None)
        );
        assert_eq!(Pace::of(900, 1).after(None, 1), Pace::of(900, 1));
        let after = |nanos, count| Pace::of(nanos, count).after(Some(pace), count);
        assert_eq!(after(900, 1), Pace(700 * 16 + 1));
        assert_eq!(after(100_000, 100), Pace(625 * 16), "little by little");
        assert_eq!(after(u64::MAX, 100), Pace(1375 * 16), "as if it were 4 us");
        assert_eq!(after(0, 100), Pace(250 * 16 + 1));
    }
}
