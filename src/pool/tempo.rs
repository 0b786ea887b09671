//! How fast answers come, for who would rather look at many than be woken for each.

use crate::sys::clock::now_ns;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// From one answer to the next, of late, in nanoseconds; 0 as long as that is unknown.
    each: u64,
    /// When answers were looked for last, with tasks open since.
    since: Option<u64>,
}

/// Fewer tasks than that are waited for one by one.
const FEW: usize = 4;

impl Tempo {
    /// There were so many answers since the last look, and so many tasks are open yet.
    ///
    /// Of few tasks nobody wants to know.
    #[inline]
    pub(super) fn note(&mut self, answers: usize, open: usize) {
        if answers + open < FEW {
            self.since = None;
        } else if answers > 0 || self.since.is_none() {
            self.look(answers as u64, open);
        }
    }

    fn look(&mut self, answers: u64, open: usize) {
        let now = now_ns();
        if let (Some(since), 1..) = (self.since, answers) {
            let each = now.saturating_sub(since) / answers;
            self.each = match self.each {
                0 => each,
                before => (3 * before + each) / 4,
            };
        }
        // While there is nothing to answer, time says nothing.
        self.since = (open > 0).then_some(now);
    }

    /// The time in which so many answers come, in nanoseconds.
    pub(super) fn lasts(&self, answers: usize) -> u64 {
        self.each.saturating_mul(answers as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_without_tasks_does_not_count() {
        let mut tempo = Tempo::default();
        tempo.note(0, 4);
        tempo.since = Some(now_ns() - 4_000_000);
        tempo.note(4, 0);
        let each = tempo.lasts(1);
        assert!((1_000_000..2_000_000).contains(&each), "{each}");
        tempo.note(0, 0);
        assert_eq!(tempo.lasts(1), each);
        assert!(tempo.since.is_none());
    }
}
