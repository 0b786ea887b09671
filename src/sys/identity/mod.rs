//! Who is who, and who is alive: facts asked of the kernel, never guessed from a time-out.

#[cfg(not(loom))]
mod kernel;
#[cfg(not(loom))]
pub(crate) use kernel::{
    Process, boot_id, current_pid, is_alive, lock_own, pid_namespace, random_u64, unlock_own, user,
};

/// A process's slot in the roster of one segment: 1 to 4,094, so that it fits the 12 owner bits of a word.
///
/// 0 means "nobody" in an owner field, and 4,095 stays free for protocols that need one more mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub(crate) struct Participant(u16);

impl Participant {
    /// The lowest slot.
    pub(crate) const FIRST: Participant = Participant(1);

    /// The highest slot.
    pub(crate) const LAST: Participant = Participant(4094);

    /// The participant of `slot`, unless nobody can have it; also the check for owner bits read from shared memory.
    #[inline]
    pub(crate) const fn new(slot: u16) -> Option<Self> {
        if slot >= Self::FIRST.0 && slot <= Self::LAST.0 {
            Some(Participant(slot))
        } else {
            None
        }
    }

    /// The slot number, 1 to 4,094.
    #[inline]
    pub(crate) const fn get(self) -> u16 {
        self.0
    }

    /// Every participant there can be, lowest slot first.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Participant> {
        (Self::FIRST.0..=Self::LAST.0).map(Participant)
    }
}

/// Says whether a participant of one segment lives.
pub(crate) trait Oracle {
    /// `false` only if the participant is certainly dead, in which case all its threads have stopped for good.
    fn is_alive(&self, who: Participant) -> bool;

    /// Whether this process counts its threads in another pid namespace than the others: then its thread ids mean other
    /// threads to them, and to the kernel that cleans up after them.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// About how many participants there are; asks nobody.
    fn population(&self) -> u32 {
        2
    }

    /// Cleans up after participants that have died, if nobody did so lately: for who has slept for a while in vain.
    fn look_out(&self) {}
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn participants_are_the_slots_that_can_be_held() {
        assert_eq!(Participant::new(0), None);
        assert_eq!(Participant::new(1), Some(Participant::FIRST));
        assert_eq!(Participant::new(4094), Some(Participant::LAST));
        assert_eq!(Participant::new(4095), None);
        assert_eq!(Participant::all().count(), 4094);
    }
}
