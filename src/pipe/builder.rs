//! The knobs of a pipe.

use std::marker::PhantomData;

use super::connection::Connection;
use super::hold::Hold;
use super::receiver::Receiver;
use super::sender::Sender;
use super::site::{Plan, Site};
use crate::Result;
use crate::message::{Message, Validation};
use crate::ring::spsc::Room;
use crate::segment::{MODE_HUGE, MODE_PREFAULT, with_mode};

/// Bytes of each ring unless the builder says otherwise.
const CAPACITY: u64 = 256 << 10;

/// The knobs of a pipe; made by [`Pipe::builder`](crate::Pipe::builder).
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// let (near, far) = multiproc::Pipe::<String, u64>::builder().capacity(64 * 1024).pair()?;
/// near.send("how long is this?")?;
/// let text = far.recv()?;
/// far.send(text.len() as u64)?;
/// assert_eq!(near.recv_owned()?, 17);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder makes nothing until `pair` is called"]
pub struct PipeBuilder<S: Message, R: Message> {
    room: Room,
    validation: Validation,
    mode: u32,
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Clone for PipeBuilder<S, R> {
    fn clone(&self) -> Self {
        PipeBuilder { ..*self }
    }
}

impl<S: Message, R: Message> PipeBuilder<S, R> {
    pub(super) fn new() -> Self {
        PipeBuilder {
            room: Room::Bytes(CAPACITY),
            validation: Validation::default(),
            mode: 0,
            messages: PhantomData,
        }
    }

    /// Bytes of shared memory for messages on their way, for each direction; 256 KiB unless said.
    ///
    /// A message takes its length and 8 to 16 bytes, rounded up to whole lines of 64 bytes unless all have one size; one
    /// of more than an eighth of the capacity, or of 16 KiB, lies beside the ring in memory of its own, which comes when
    /// it is first needed and is used again.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.room = Room::Bytes(bytes as u64);
        self
    }

    /// Whether messages are checked before they are read; see [`Validation`].
    pub fn validation(mut self, policy: Validation) -> Self {
        self.validation = policy;
        self
    }

    /// Asks the system for huge pages, which speeds up large rings where the system grants them.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_HUGE, yes);
        self
    }

    /// Takes all page faults when the pipe is made, in place of one at the first use of each page.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_PREFAULT, yes);
        self
    }

    /// Makes the pipe, and gives both its ends.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a capacity that no pipe can have, `NoSpace` when shared memory is used up.
    pub fn pair(self) -> Result<(Connection<S, R>, Connection<R, S>)> {
        let site = self.make([self.room; 2])?;
        let near = Connection::of_holds(Hold::first(&site, 0)?, Hold::first(&site, 1)?);
        let far = Connection::of_holds(Hold::first(&site, 1)?, Hold::first(&site, 0)?);
        Ok((near, far))
    }

    fn make(&self, room: [Room; 2]) -> Result<Site> {
        Site::make::<S, R>(&Plan {
            room,
            check: self.validation == Validation::Check,
            mode: self.mode,
        })
    }
}

impl<T: Message> PipeBuilder<T, ()> {
    /// Room for at least `count` messages at a time that are not acknowledged, each of `size` bytes at most unless all have
    /// one size.
    pub(crate) fn messages(mut self, count: usize, size: usize) -> Self {
        self.room = Room::Messages {
            count: count as u64,
            size: T::FIXED.unwrap_or(size),
        };
        self
    }

    /// The mode bits of a segment, in place of those said before.
    pub(crate) fn mode(mut self, bits: u32) -> Self {
        self.mode = bits;
        self
    }

    /// Makes a pipe of one direction.
    ///
    /// # Errors
    ///
    /// As [`pair`](PipeBuilder::pair).
    pub fn one_way(self) -> Result<(Sender<T>, Receiver<T>)> {
        let site = self.make([self.room, Room::Bytes(0)])?;
        Ok((Hold::first(&site, 0)?.into(), Hold::first(&site, 0)?.into()))
    }
}
