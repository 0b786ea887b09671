//! A place in the ring, and the lap that it is reached in.

use crate::sys::seeded::seeded;

/// Where an end stands: a count of granules that only grows, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Granules since the ring was made.
    pub(super) position: u64,
    /// The granule of the ring.
    pub(super) granule: u32,
    /// The lap that headers written here carry.
    pub(super) lap: u32,
}

impl Cursor {
    /// The place at `position` of a ring of so many granules.
    pub(super) fn at(position: u64, granules: u32) -> Self {
        let laps = position / u64::from(granules);
        Cursor {
            position,
            granule: (position % u64::from(granules)) as u32,
            lap: 1 + (laps % u64::from(u32::MAX)) as u32,
        }
    }

    /// The place behind a record of `count` granules, which never reaches past the ring's end.
    #[inline(always)]
    pub(super) fn behind(self, count: u32, granules: u32) -> Self {
        let granule = self.granule + count;
        if granule < granules {
            return Cursor {
                position: self.position + u64::from(count),
                granule,
                ..self
            };
        }
        Cursor {
            position: self.position + u64::from(count),
            ..self.turned()
        }
    }

    /// The same place, of which the granule was counted behind the ring's end.
    pub(super) fn turned(self) -> Self {
        let lap = match seeded("pipe-lap-not-counted") {
            false => next_lap(self.lap),
            true => self.lap,
        };
        Cursor {
            granule: 0,
            lap,
            ..self
        }
    }

    /// Granules from here to the end of the ring.
    pub(super) fn to_end(self, granules: u32) -> u32 {
        granules - self.granule
    }
}

/// Laps count from 1 and begin anew; what an earlier count left was overwritten in each lap since.
#[inline(always)]
fn next_lap(lap: u32) -> u32 {
    if lap == u32::MAX { 1 } else { lap + 1 }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn walking_leads_where_counting_says() {
        let mut walked = Cursor::at(0, 5);
        for count in [1, 1, 3, 5, 2, 3, 1] {
            walked = walked.behind(count, 5);
            assert_eq!(walked, Cursor::at(walked.position, 5));
        }
        assert_eq!((walked.position, walked.lap), (16, 4));
    }

    #[test]
    fn laps_begin_anew_behind_the_last() {
        let last = Cursor::at(3 * (u64::from(u32::MAX) - 1) + 2, 3);
        assert_eq!((last.lap, last.granule), (u32::MAX, 2));
        let next = last.behind(1, 3);
        assert_eq!(next.lap, 1);
        assert_eq!(next, Cursor::at(last.position + 1, 3));
    }
}
