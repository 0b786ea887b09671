//! Watching a ring for something to take, among other things.

use super::core::{Ring, Words};
use super::protocol;
#[cfg(feature = "tokio")]
use super::wait::Patience;
use super::wait::{Peers, Role};
use super::word::Position;
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};
#[cfg(feature = "tokio")]
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;

impl Ring {
    /// Whether a take would not wait, as far as the words tell: there is a message, perhaps one that was given back, or the
    /// ring was closed.
    #[inline]
    pub(crate) fn is_gettable(&self) -> bool {
        let words = self.words();
        self.has_message(words) || self.may_have_returns() || protocol::is_closed(words)
    }

    /// Whether there is a message in the order of the ring. Most often there is none where there was none before, which one
    /// word tells.
    #[inline]
    fn has_message(&self, words: Words<'_>) -> bool {
        let end = Position(self.seen.end.load(Relaxed));
        !protocol::is_unclaimed(words, end) && self.find_message()
    }

    #[cold]
    #[inline(never)]
    fn find_message(&self) -> bool {
        let found = protocol::find_message(self.words());
        if let Err(end) = found {
            self.seen.end.store(end.0, Relaxed); // no step: private to this process
        }
        found.is_ok()
    }

    /// Leaves a stream of messages alone for a moment, by whoever waits without a call that blocks.
    #[cfg(feature = "tokio")]
    pub(crate) fn let_gather_gets(&self) {
        self.let_gather(&mut Patience::new(Deadline::NEVER));
    }

    /// Announces a watcher, who is enrolled under [`gets`](Ring::gets); he looks once more behind a barrier.
    pub(crate) fn watch_gets(&self) {
        self.control().not_empty.watch();
    }

    /// The word under which those enrol who watch for messages.
    pub(crate) fn gets(&self) -> &AtomicU32 {
        self.control().not_empty.word()
    }

    /// Whether nobody is left who could put anything.
    pub(crate) fn is_deserted(&self, peers: &dyn Peers) -> bool {
        self.deserted(Role::Producer, peers)
    }

    /// Offers again what the dead held, and skips what they claimed; whether a take would not wait now.
    pub(crate) fn is_gettable_behind_the_dead(&self, me: Participant, peers: &dyn Peers) -> bool {
        self.watch(me, peers);
        self.is_gettable() || self.is_deserted(peers)
    }
}
