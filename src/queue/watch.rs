//! A queue among other things that are waited for.

use super::{Consumer, Queue};
use crate::message::Message;
use crate::waiting::{Source, Spot, Waitable, look_along};
use std::ops::ControlFlow;

impl<T: Message> Source for Queue<T> {
    fn spot(&self) -> Option<Spot<'_>> {
        Some(Spot::new(&self.core.tenant, self.core.ring.gets()))
    }

    #[inline]
    fn look_along(&self, things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        look_along::<Self>(things, begun)
    }

    #[inline]
    fn is_ready(&self, _: u64) -> bool {
        self.core.ring.is_gettable()
    }

    #[cfg(feature = "tokio")]
    fn let_gather(&self) {
        self.core.ring.let_gather_gets();
    }

    fn announce(&self) -> bool {
        self.core.ring.watch_gets();
        self.core.ring.is_deserted(&*self.core.tenant)
    }

    fn look_behind_the_dead(&self, _: u64) -> bool {
        let core = &*self.core;
        core.ring
            .is_gettable_behind_the_dead(core.me(), &*core.tenant)
    }
}

impl<T: Message> Source for Consumer<T> {
    fn spot(&self) -> Option<Spot<'_>> {
        self.queue().spot()
    }

    #[inline]
    fn look_along(&self, things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        look_along::<Self>(things, begun)
    }

    #[inline]
    fn is_ready(&self, begun: u64) -> bool {
        self.queue().is_ready(begun)
    }

    #[cfg(feature = "tokio")]
    fn let_gather(&self) {
        self.queue().let_gather();
    }

    fn announce(&self) -> bool {
        self.queue().announce()
    }

    fn look_behind_the_dead(&self, begun: u64) -> bool {
        self.queue().look_behind_the_dead(begun)
    }
}
