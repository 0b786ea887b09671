//! One process that connects, from its first packet to its last.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::wire::{Answer, LONGEST, Unreadable, VERSION, Ways};
use crate::message::{Handle, Message};
use crate::pipe::{Connection, PipeBuilder};
use crate::sys::fd::{recv_fds, send_fds};
use crate::sys::private::Private;
use crate::sys::socket;
use crate::{Error, ErrorKind, Result};

/// Who may connect, and what he gets.
#[derive(Debug)]
pub(super) struct Terms<S: Message, R: Message> {
    /// The name under which this process listens, for the texts of errors.
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) pipe: PipeBuilder<S, R>,
}

/// What has come of a visitor.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for each packet, and taken apart at once"
)]
pub(super) enum Verdict<S: Message, R: Message> {
    /// Nothing yet.
    Waits,
    /// He has gone, said nothing in time, or nothing that could be understood.
    Gone,
    /// He was told why not.
    Refused(Error),
    /// He has his end of the pipe.
    Arrived(Connection<S, R>),
}

/// A process that connects.
#[derive(Debug)]
pub(super) struct Visitor<S: Message, R: Message> {
    socket: Private,
    peer: Peer,
    /// When something was heard of him last.
    since: Instant,
    offer: Option<Offer<S, R>>,
}

/// A pipe whose far end waits to be claimed.
#[derive(Debug)]
struct Offer<S: Message, R: Message> {
    near: Connection<S, R>,
    far: OnOffer<R, S>,
}

/// An end that nobody can claim any more once this is dropped.
#[derive(Debug)]
struct OnOffer<S: Message, R: Message>(Connection<S, R>);

impl<S: Message, R: Message> Drop for OnOffer<S, R> {
    fn drop(&mut self) {
        self.0.reclaim();
    }
}

impl<S: Message, R: Message> Visitor<S, R> {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let peer = Peer::new(socket::credentials(socket.as_fd())?);
        Ok(Visitor {
            socket: socket.into(),
            peer,
            since: Instant::now(),
            offer: None,
        })
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// When he has been silent for `limit`.
    pub(super) fn until(&self, limit: Duration) -> Option<Instant> {
        self.since.checked_add(limit)
    }

    /// Hears what he has to say.
    pub(super) fn hear(&mut self, terms: &Terms<S, R>) -> Verdict<S, R> {
        let mut packet = [0; LONGEST];
        // Descriptors that he sends along are closed at once.
        let len = match recv_fds(self.fd(), &mut packet) {
            Ok((0, _)) => return Verdict::Gone,
            Ok((len, _)) => len,
            Err(nothing) if nothing.kind() == io::ErrorKind::WouldBlock => return Verdict::Waits,
            Err(_) => return Verdict::Gone,
        };
        self.since = Instant::now();
        match self.offer.take() {
            None => self.greet(&packet[..len], terms),
            Some(offer) => offer.conclude(),
        }
    }

    /// The first packet: who he is, and what he sends and receives.
    fn greet(&mut self, packet: &[u8], terms: &Terms<S, R>) -> Verdict<S, R> {
        let welcome = match self.examine(packet, terms) {
            Ok(true) => self.welcome(terms),
            Ok(false) => return Verdict::Gone,
            Err(why) => Err(why),
        };
        match welcome {
            Ok(verdict) => verdict,
            Err(why) => self.refuse(why),
        }
    }

    /// `false` if nothing can be made of what he says.
    fn examine(&self, packet: &[u8], terms: &Terms<S, R>) -> Result<bool> {
        let (peer, name) = (self.peer, &terms.name);
        if peer.uid() != terms.uid {
            let text = format!(
                "{peer} may not connect to {name}, where only user {} may",
                terms.uid
            );
            return Err(Error::new(ErrorKind::PermissionDenied, text));
        }
        let his = match Ways::parse(packet) {
            Ok(his) => his,
            Err(Unreadable::Garbage) => return Ok(false),
            Err(Unreadable::Version(other)) => {
                let text = format!(
                    "{peer} connects to {name} by version {other} of the handshake, and the listener knows version \
                     {VERSION}; build both programs with one version of multiproc"
                );
                return Err(Error::new(ErrorKind::WrongVersion, text));
            }
        };
        let ours = Ways::of::<S, R>();
        if his.fit(&ours) {
            return Ok(true);
        }
        let text = format!(
            "{peer} connects to {name} for a {}, where the listener has a {}: what the one sends the other must receive",
            his.describe(),
            ours.describe()
        );
        Err(Error::new(ErrorKind::WrongType, text))
    }

    /// Offers him an end of a new pipe.
    fn welcome(&mut self, terms: &Terms<S, R>) -> Result<Verdict<S, R>> {
        let (near, far) = terms.pipe.clone().pair()?;
        let file = far.loan()?;
        let answer = Answer::Welcome(far.to_raw());
        let far = OnOffer(far);
        self.offer = Some(Offer { near, far });
        let sent = send_fds(self.fd(), &answer.to_bytes(), &[file.as_fd()]);
        Ok(sent.map_or(Verdict::Gone, |()| Verdict::Waits))
    }

    fn refuse(&self, why: Error) -> Verdict<S, R> {
        let answer = Answer::Refused(why);
        self.say(&answer);
        match answer {
            Answer::Refused(why) => Verdict::Refused(why),
            _ => Verdict::Gone,
        }
    }

    /// His time is up. If he has claimed his end he is here, though he has not come to say so; else he is to come again.
    pub(super) fn give_up(&mut self) -> Verdict<S, R> {
        let verdict = self.offer.take().map_or(Verdict::Gone, Offer::conclude);
        if let Verdict::Gone = verdict {
            self.say(&Answer::Again);
        }
        verdict
    }

    fn say(&self, answer: &Answer) {
        let _ = send_fds(self.socket.as_fd(), &answer.to_bytes(), &[]); // he may have gone
    }
}

impl<S: Message, R: Message> Offer<S, R> {
    /// The near end, if the far one was claimed; else nobody can claim it any more.
    fn conclude(self) -> Verdict<S, R> {
        match self.far.0.reclaim() {
            true => Verdict::Gone,
            false => Verdict::Arrived(self.near),
        }
    }
}
