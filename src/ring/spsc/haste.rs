//! Whether long messages come faster than anybody could go through them, told without a clock for each.

use crate::sys::clock::ticks;

/// Nobody writes or reads half a mebibyte in so many ticks: 3 to 16 us.
const LEAST: u64 = 1 << 14;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Haste {
    /// So many messages came since the last look.
    messages: u32,
    looked_at: u64,
    leisure: bool,
}

impl Haste {
    /// Whether there was time enough between the messages before the last look.
    #[inline(always)]
    pub(super) fn is_leisure(&self) -> bool {
        self.leisure
    }

    /// A message comes.
    #[inline(always)]
    pub(super) fn count(&mut self) {
        self.messages = self.messages.wrapping_add(1); // nobody looks where messages are short
    }

    /// Looks at the time; whether there was enough of it for each message.
    pub(super) fn look(&mut self) -> bool {
        self.look_at(ticks())
    }

    fn look_at(&mut self, now: u64) -> bool {
        let messages = u64::from(self.messages.max(1));
        self.leisure = now.wrapping_sub(self.looked_at) >= LEAST * messages;
        self.looked_at = now;
        self.messages = 0;
        self.leisure
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn there_is_leisure_where_each_message_had_its_time() {
        let mut haste = Haste::default();
        assert!(!haste.is_leisure());
        assert!(
            haste.look_at(LEAST),
            "the first message had all the time there is"
        );
        assert!(!haste.look_at(2 * LEAST - 1));
        (0..4).for_each(|_| haste.count());
        assert!(
            !haste.look_at(5 * LEAST),
            "four messages had no more than one needs"
        );
        assert!(haste.look_at(6 * LEAST) && haste.is_leisure());
    }
}
