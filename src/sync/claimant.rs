//! Who claims: a participant and its process, ready to be put into a word.

use super::word::Word;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::identity::{Oracle, Participant};
use crate::sys::robust::{OWNER_DIED, PID_BITS, ThreadList};

/// The upper half of the words that this process claims in one segment; in memory of its own, beside each handle.
///
/// A child of a fork finds its parent's here. The pid tells: such a claimant fits no thread of the child.
#[derive(Debug)]
pub(crate) struct Claimant(AtomicU64);

const PID: u64 = (PID_BITS as u64) << 32;

/// Stands in the claimants that fit no thread; no claim has this bit.
const FITS_NOBODY: u64 = OWNER_DIED as u64;

impl Claimant {
    /// This process as the participant `me` of the segment that `oracle` knows.
    pub(crate) fn new(me: Participant, oracle: &dyn Oracle) -> Self {
        let claimant = Claimant(AtomicU64::new(0));
        claimant.renew(me, oracle);
        claimant
    }

    /// One that fits no thread, until it is [renewed](Claimant::renew).
    pub(crate) fn unknown() -> Self {
        Claimant(AtomicU64::new(FITS_NOBODY))
    }

    /// Corrects the claimant of a process that has been forked.
    pub(crate) fn renew(&self, me: Participant, oracle: &dyn Oracle) {
        let mut process = ThreadList::arrived().claim() & PID;
        if oracle.is_elsewhere() {
            process |= FITS_NOBODY; // each thread takes the slow path, which asks again
        }
        // no step: memory of this process. Relaxed: every thread of it stores the same.
        self.0.store(Word::held(process, me).0, Relaxed);
    }

    /// The word that the thread of `list` puts into the locks it takes; `None` if it does not know itself yet, or is
    /// of another process than the claimant.
    #[inline]
    pub(super) fn word(&self, list: ThreadList) -> Option<Word> {
        let claimant = self.0.load(Relaxed); // memory of this process, see `renew`
        let fits = (claimant ^ list.claim()) & (PID | FITS_NOBODY) == 0;
        fits.then_some(Word(claimant | list.claim()))
    }
}

impl Clone for Claimant {
    fn clone(&self) -> Self {
        Claimant(AtomicU64::new(self.0.load(Relaxed)))
    }
}
