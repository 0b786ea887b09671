//! What a queue hands on to the lane that shall carry its messages from one process to one other.

use std::sync::Arc;

use super::Queue;
use super::builder::{MAX_DELIVERIES, QueueBuilder};
use crate::message::{Message, Validation};
use crate::segment::{MODE_HUGE, MODE_PREFAULT};
use crate::sys::clock::Deadline;
use crate::{Error, ErrorKind, Result};

/// The knobs of a queue that mean something to a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneToOne {
    /// How many messages fit at least.
    pub(crate) capacity: usize,
    /// How long they are at most, unless all have one size.
    pub(crate) message_size: usize,
    pub(crate) validation: Validation,
    /// A segment's mode bits.
    pub(crate) mode: u32,
}

impl<T: Message> QueueBuilder<T> {
    /// The knobs for a lane, if they are in their ranges and a lane has them.
    pub(crate) fn one_to_one(&self) -> Result<OneToOne> {
        if let Some(name) = &self.name {
            return Err(refused(format!(
                "the two ends of a split queue have no name, but `{name}` was given; leave it out, and send an end to \
                 the process that shall have it"
            )));
        }
        let geometry = self.geometry()?;
        check_deliveries(geometry.max_deliveries)?;
        Ok(OneToOne {
            capacity: geometry.capacity as usize,
            message_size: geometry.inline(),
            validation: self.validation,
            mode: self.mode,
        })
    }
}

impl<T: Message> Queue<T> {
    /// The knobs for a lane in this queue's place, if it has nothing that a lane has not, and nobody would miss it.
    pub(crate) fn one_to_one(&self) -> Result<OneToOne> {
        let geometry = self.core.ring.geometry();
        check_deliveries(geometry.max_deliveries)?;
        self.check_replaceable()?;
        Ok(OneToOne {
            capacity: self.capacity(),
            message_size: geometry.inline(),
            validation: match self.check {
                true => Validation::Check,
                false => Validation::Trust,
            },
            mode: self.core.tenant.segment().geometry().mode & (MODE_HUGE | MODE_PREFAULT),
        })
    }

    fn check_replaceable(&self) -> Result<()> {
        if self.is_closed() {
            let text = "the queue was closed; split one that is open";
            return Err(Error::new(ErrorKind::Closed, text));
        }
        let why = if self.core.tenant.is_named() {
            "has a name, under which others may find it; split one without a name"
        } else if !self.is_only_handle() {
            "has other handles, roles or leases, here or in another process; drop them first, or split the queue before \
             it is shared"
        } else if !self.is_unused() {
            "has messages; get them first, and take the dead letters, or split the queue before anything is put"
        } else {
            return Ok(());
        };
        Err(refused(format!("the queue {why}")))
    }

    /// Whether nobody else can put or get: neither in this process, nor on the way to a child, nor elsewhere.
    fn is_only_handle(&self) -> bool {
        let tenant = &self.core.tenant;
        Arc::strong_count(&self.core) == 1 && Arc::strong_count(tenant) == 1 && !tenant.has_others()
    }

    fn is_unused(&self) -> bool {
        self.core.all_done(Deadline::NOW) && self.dead_letters().is_empty()
    }
}

/// A lane delivers to one receiver, again and again if need be.
fn check_deliveries(most: u8) -> Result<()> {
    match most == MAX_DELIVERIES {
        true => Ok(()),
        false => Err(refused(format!(
            "a split queue has no dead letters, so that max_deliveries({most}) means nothing there; leave it out"
        ))),
    }
}

#[cold]
fn refused(text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}
