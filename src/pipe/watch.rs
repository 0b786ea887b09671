//! A receiving end among other things that are waited for.

use super::{Connection, Receiver};
use crate::message::Message;
use crate::waiting::{Source, Spot, Waitable, look_along};
use std::ops::ControlFlow;

impl<T: Message> Source for Receiver<T> {
    fn spot(&self) -> Option<Spot<'_>> {
        Some(Spot::new(
            self.hold.site().shared_tenant(),
            self.hold.raw.gate(),
        ))
    }

    #[inline]
    fn look_along(&self, things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        look_along::<Self>(things, begun)
    }

    /// An end that is elsewhere by now is ready: the verb says so at once.
    #[inline]
    fn is_ready(&self, _: u64) -> bool {
        self.raw().map_or(true, |raw| raw.is_ready())
    }

    #[cfg(feature = "tokio")]
    fn let_gather(&self) {
        if self.hold.is_mine() {
            self.hold.raw.let_gather();
        }
    }

    fn announce(&self) -> bool {
        match self.raw() {
            Ok(raw) => raw.watch(),
            Err(_) => return true,
        }
        false
    }

    fn look_behind_the_dead(&self, _: u64) -> bool {
        let peers = self.hold.peers();
        self.raw()
            .map_or(true, |raw| raw.is_ready_behind_the_dead(peers))
    }
}

impl<S: Message, R: Message> Source for Connection<S, R> {
    fn spot(&self) -> Option<Spot<'_>> {
        self.receiver().spot()
    }

    #[inline]
    fn look_along(&self, things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        look_along::<Self>(things, begun)
    }

    #[inline]
    fn is_ready(&self, begun: u64) -> bool {
        self.receiver().is_ready(begun)
    }

    #[cfg(feature = "tokio")]
    fn let_gather(&self) {
        self.receiver().let_gather();
    }

    fn announce(&self) -> bool {
        self.receiver().announce()
    }

    fn look_behind_the_dead(&self, begun: u64) -> bool {
        self.receiver().look_behind_the_dead(begun)
    }
}
