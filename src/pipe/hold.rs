//! A handle's hold on one end of a pipe: whether the end is this process's, and how it goes to another.

use std::cell::Cell;

use super::site::{FitOf, Place, Site};
use crate::Result;
use crate::message::Message;
use crate::ring::Peers;
use crate::ring::spsc::{End, RawEnd, RawReceiver, RawSender, Side};
use crate::sys::atfork;
use crate::tenancy::RawHandle;

/// The sending end of messages `T`, held.
pub(super) type HeldSender<T> = Hold<RawSender<FitOf<T>>>;

/// The receiving end of messages `T`, held.
pub(super) type HeldReceiver<T> = Hold<RawReceiver<FitOf<T>>>;

/// In place of a count of forks: the end was sent to somebody.
const OFFERED: u32 = u32::MAX;

/// An epoch in which nothing is offered.
pub(super) const FITS_NOTHING: u16 = u16::MAX;

/// An end, and whose it is. Dropping it lets go of the end, unless it was sent to somebody.
#[derive(Debug)]
pub(super) struct Hold<E: RawEnd> {
    /// The end itself, for callers that have seen [`is_mine`](Hold::is_mine).
    pub(super) raw: E,
    site: Site,
    lane: usize,
    /// The count of forks under which the end is this process's; [`OFFERED`] once it was sent to somebody.
    era: Cell<u32>,
    /// The epoch in which it was.
    epoch: Cell<u16>,
}

/// A handle with this and the lane added names such an end.
const fn code(side: Side) -> u16 {
    match side {
        Side::Sender => 2,
        Side::Receiver => 4,
    }
}

fn place<E: RawEnd>(lane: usize) -> Place {
    Place {
        lane,
        side: E::SIDE,
    }
}

impl<E: RawEnd> Hold<E> {
    /// A hold on the end whose seat this process has just taken.
    pub(super) fn new(site: &Site, lane: usize) -> Result<Self> {
        Ok(Hold {
            raw: site.end(lane)?,
            site: site.clone(),
            lane,
            era: Cell::new(atfork::forks()),
            epoch: Cell::new(FITS_NOTHING),
        })
    }

    /// A hold on the end of a pipe that was just made.
    pub(super) fn first(site: &Site, lane: usize) -> Result<Self> {
        site.take_first(place::<E>(lane))?;
        Hold::new(site, lane)
    }

    /// A hold on the end that was offered in `epoch`.
    pub(super) fn claim(site: &Site, lane: usize, epoch: u16) -> Result<Self> {
        site.claim(place::<E>(lane), epoch)?;
        Hold::new(site, lane)
    }

    /// A hold on the end of messages `T` that a handle names.
    pub(super) fn attach<T: Message>(raw: &RawHandle) -> Result<Self> {
        let site = Site::find(raw)?;
        let lane = usize::from(raw.generation.wrapping_sub(code(E::SIDE))) & 1;
        site.check_type::<T>(lane)?;
        Hold::claim(&site, lane, raw.offset as u16)
    }

    /// A handle that names the end, which is offered by that.
    pub(super) fn to_raw(&self) -> RawHandle {
        let epoch = u32::from(self.offer());
        self.site.handle(epoch, code(E::SIDE) + self.lane as u16)
    }

    #[inline(always)]
    pub(super) fn is_mine(&self) -> bool {
        self.era.get() == atfork::forks()
    }

    /// The end, if it is this process's; an offer that nobody has taken up is taken back.
    #[inline]
    pub(super) fn mine(&self) -> Option<&E> {
        self.reclaim().then_some(&self.raw)
    }

    /// Takes an offer back that nobody has taken up; whether the end is this process's now.
    #[inline]
    pub(super) fn reclaim(&self) -> bool {
        self.is_mine() || self.take_back()
    }

    #[cold]
    fn take_back(&self) -> bool {
        let mine = self.era.get() == OFFERED
            && self.site.tenant().is_me(self.raw.me())
            && self.raw.withdraw(self.epoch.get());
        if mine {
            self.era.set(atfork::forks());
        }
        mine
    }

    /// Offers the end to whoever receives the handle that carries this epoch.
    pub(super) fn offer(&self) -> u16 {
        if self.is_mine()
            && let Some(epoch) = self.raw.offer()
        {
            self.epoch.set(epoch);
            self.era.set(OFFERED);
        }
        self.epoch.get()
    }

    /// The process that died with the other end, if one was found dead.
    pub(super) fn dead_peer(&self) -> Option<u32> {
        match self.raw.peer_end() {
            Some(End::Died(pid)) => Some(pid),
            _ => None,
        }
    }

    #[inline(always)]
    pub(super) fn peers(&self) -> &dyn Peers {
        self.site.tenant()
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn lane(&self) -> usize {
        self.lane
    }
}

impl<E: RawEnd> Drop for Hold<E> {
    fn drop(&mut self) {
        match self.era.get() {
            OFFERED => self
                .site
                .keep_offered(place::<E>(self.lane), self.epoch.get()),
            _ if self.is_mine() => self.raw.close(),
            _ => {} // a forked child's copy
        }
    }
}
