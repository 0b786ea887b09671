//! All who are connecting: nobody waits for another there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::visitor::{Terms, Verdict, Visitor};
use crate::message::Message;
use crate::pipe::Connection;
use crate::sys::clock::Deadline;
use crate::sys::poller::Poller;
use crate::sys::private::Private;
use crate::sys::socket;
use crate::{Error, Result};

/// As many are heard at a time; more wait at the socket.
const PLACES: usize = 64;

/// When all places are taken, whoever is silent for longer makes room, and is told to come again.
const CROWDED: Duration = Duration::from_millis(100);

/// What the poller calls the socket that listens; visitors are counted from 1.
const DOOR: u64 = 0;

/// The socket that listens, and whoever came through it and is not done yet.
#[derive(Debug)]
pub(super) struct Lobby<S: Message, R: Message> {
    poller: Arc<Poller>,
    door: Private,
    /// Whether the poller looks at the door.
    open: bool,
    visitors: BTreeMap<u64, Visitor<S, R>>,
    next: u64,
    limit: Duration,
}

/// Who has arrived, and through whom.
pub(super) type Arrival<S, R> = (Connection<S, R>, Peer);

impl<S: Message, R: Message> Lobby<S, R> {
    pub(super) fn new(door: OwnedFd, limit: Duration) -> Result<Self> {
        let door = Private::from(door);
        let watched = Poller::new().and_then(|poller| {
            poller.add(door.as_fd(), DOOR)?;
            Ok(poller)
        });
        Ok(Lobby {
            poller: Arc::new(watched.map_err(cannot_wait)?),
            door,
            open: true,
            visitors: BTreeMap::new(),
            next: DOOR + 1,
            limit,
        })
    }

    /// What is readable when [`turn`](Lobby::turn) may have something to do.
    pub(super) fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Hears whoever has something to say, until one has arrived; `None` when nobody has.
    pub(super) fn turn(&mut self, terms: &Terms<S, R>) -> Result<Option<Arrival<S, R>>> {
        let turned = self.hear_all(terms);
        let prepared = self.prepare_to_wait();
        let arrival = turned?;
        prepared.map_err(cannot_wait)?;
        Ok(arrival)
    }

    fn hear_all(&mut self, terms: &Terms<S, R>) -> Result<Option<Arrival<S, R>>> {
        for name in self.overdue() {
            let verdict = self.visitors.get_mut(&name).map(Visitor::give_up);
            if let Some(arrival) = self.settle(name, verdict)? {
                return Ok(Some(arrival));
            }
        }
        loop {
            let ready = self.poller.ready().map_err(cannot_wait)?;
            if ready.is_empty() {
                return Ok(None);
            }
            for name in ready {
                if let Some(arrival) = self.attend(name, terms)? {
                    return Ok(Some(arrival));
                }
            }
        }
    }

    fn attend(&mut self, name: u64, terms: &Terms<S, R>) -> Result<Option<Arrival<S, R>>> {
        if name == DOOR {
            return self.let_in().map(|()| None);
        }
        let verdict = self.visitors.get_mut(&name).map(|one| one.hear(terms));
        self.settle(name, verdict)
    }

    /// Those who have been silent for too long, the first to come first.
    fn overdue(&self) -> Vec<u64> {
        let (now, limit) = (Instant::now(), self.limit());
        let over = |one: &Visitor<S, R>| one.until(limit).is_some_and(|end| end <= now);
        let late = self.visitors.iter().filter(|(_, one)| over(one));
        late.map(|(name, _)| *name).collect()
    }

    fn limit(&self) -> Duration {
        match self.visitors.len() < PLACES {
            true => self.limit,
            false => self.limit.min(CROWDED),
        }
    }

    /// Lets the next one in; the door is heeded only while there is a place.
    fn let_in(&mut self) -> Result<()> {
        if self.visitors.len() >= PLACES {
            return self.heed_door(false).map_err(cannot_wait);
        }
        let socket = match socket::accept(self.door.as_fd()) {
            Ok(socket) => socket,
            Err(nobody) if is_the_visitors(&nobody) => return Ok(()),
            Err(cause) => return Err(Error::os("cannot accept a connection", cause)),
        };
        let name = self.next;
        self.next += 1;
        let entered = Visitor::new(socket).and_then(|visitor| {
            self.poller.add(visitor.fd(), name)?;
            Ok(visitor)
        });
        self.visitors.insert(name, entered.map_err(cannot_wait)?);
        Ok(())
    }

    /// Sees whoever is done out.
    fn settle(
        &mut self,
        name: u64,
        verdict: Option<Verdict<S, R>>,
    ) -> Result<Option<Arrival<S, R>>> {
        let Some(verdict) = verdict else {
            return Ok(None);
        };
        if let Verdict::Waits = verdict {
            return Ok(None);
        }
        let Some(visitor) = self.visitors.remove(&name) else {
            return Ok(None);
        };
        self.poller.remove(visitor.fd());
        match verdict {
            Verdict::Refused(why) => Err(why),
            Verdict::Arrived(connection) => Ok(Some((connection, visitor.peer()))),
            Verdict::Waits | Verdict::Gone => Ok(None),
        }
    }

    /// Has the poller be readable for all that is still to come.
    fn prepare_to_wait(&mut self) -> io::Result<()> {
        let limit = self.limit();
        let ends = self.visitors.values().filter_map(|one| one.until(limit));
        let first = ends.min().map_or(Deadline::NEVER, Deadline::at);
        self.poller.set_alarm(first)?;
        self.heed_door(self.visitors.len() < PLACES)
    }

    fn heed_door(&mut self, yes: bool) -> io::Result<()> {
        if self.open != yes {
            self.poller.heed(self.door.as_fd(), DOOR, yes)?;
            self.open = yes;
        }
        Ok(())
    }
}

/// Nobody is there, or whoever was has gone.
fn is_the_visitors(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, WouldBlock};
    [WouldBlock, ConnectionAborted].contains(&cause.kind())
}

#[cold]
fn cannot_wait(cause: io::Error) -> Error {
    Error::os("cannot wait for connections", cause)
}
