//! A claim to take a connection's end over, should its holder die.

use std::fmt;
use std::marker::PhantomData;

use super::connection::Connection;
use super::hold::Hold;
use super::site::{Place, Site};
use crate::Result;
use crate::message::{Handle, Message, handle_message};
use crate::ring::spsc::Side;
use crate::tenancy::RawHandle;

/// Names one end of a pipe, for taking it over from a process that died with it; see
/// [`Connection::resume`](crate::Connection::resume).
///
/// It does not hold the end, and it is a message: send it to whoever shall be able to step in. The pipe exists as long as
/// anybody has one of its ends or a ticket.
pub struct Ticket<S: Message, R: Message> {
    site: Site,
    /// The lane that the end sends on.
    lane: usize,
    messages: PhantomData<fn(S) -> R>,
}

/// A handle with this and the lane added is a ticket.
const CODE: u16 = 6;

impl<S: Message, R: Message> Ticket<S, R> {
    pub(super) fn new(site: &Site, lane: usize) -> Self {
        Ticket {
            site: site.clone(),
            lane,
            messages: PhantomData,
        }
    }

    pub(super) fn resume(&self) -> Result<Connection<S, R>> {
        let sending = Place {
            lane: self.lane,
            side: Side::Sender,
        };
        let receiving = Place {
            lane: 1 - self.lane,
            side: Side::Receiver,
        };
        // Whoever gets the first gets the second: all try in this order.
        let dead = self.site.resume(sending)?;
        if let Err(refused) = self.site.resume_second(receiving) {
            self.site.unresume(sending, dead);
            return Err(refused);
        }
        Ok(Connection::of_holds(
            Hold::new(&self.site, sending.lane)?,
            Hold::new(&self.site, receiving.lane)?,
        ))
    }
}

impl<S: Message, R: Message> Handle for Ticket<S, R> {
    fn to_raw(&self) -> RawHandle {
        self.site.handle(0, CODE + self.lane as u16)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let site = Site::find(raw)?;
        let lane = usize::from(raw.generation.wrapping_sub(CODE)) & 1;
        site.check_type::<S>(lane)?;
        site.check_type::<R>(1 - lane)?;
        Ok(Ticket::new(&site, lane))
    }
}

handle_message!([S: Message, R: Message] Ticket<S, R>, "Ticket", [S, R]);

impl<S: Message, R: Message> Clone for Ticket<S, R> {
    fn clone(&self) -> Self {
        Ticket::new(&self.site, self.lane)
    }
}

impl<S: Message, R: Message> fmt::Debug for Ticket<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket<{}, {}>", S::type_name(), R::type_name())
    }
}
