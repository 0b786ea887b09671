//! Who makes a pipe, offers its far end, and goes on when all who had that are dead.

use std::time::Duration;

use multiproc::{Connection, ErrorKind, Queue, RecvTimeoutError, SendTimeoutError, Ticket};

use crate::engine::{PATIENCE, Stage};
use crate::letter::{End, Letter};
use crate::pipe::{BACK, BEFORE, ENDS, THERE, TICKETS, send_one, sent, settle, take_one};

/// The last message to the far end that is in the ledger.
const LATER: u64 = THERE + 24;
/// Messages from here on are in no ledger.
const UNBOOKED: u64 = 1000;

/// What the keeper has.
struct World<L: Letter> {
    near: End<L>,
    /// Offered, and the keeper's again if nobody has taken it up.
    far: End<L>,
    ends: Queue<End<L>>,
    ticket: Ticket<L::Message, L::Message>,
    /// Keeps the ticket for the recoverer.
    _tickets: Queue<Ticket<L::Message, L::Message>>,
}

impl<L: Letter> World<L> {
    /// A pipe that was used before.
    fn make() -> Self {
        let (near, far) = L::pair();
        pass::<L>(&near, &far, L::WARM);
        pass::<L>(&far, &near, L::WARM);
        let ticket = near.peer_ticket();
        let tickets = Queue::builder().name(TICKETS).capacity(2);
        let tickets = tickets.create().expect("create");
        tickets.put(&ticket).expect("room");
        let ends = Queue::builder().name(ENDS).capacity(2).create();
        World {
            near,
            far,
            ends: ends.expect("create"),
            ticket,
            _tickets: tickets,
        }
    }

    /// The far end may be taken from now on.
    fn offer(&self) {
        self.ends.put(&self.far).expect("room");
    }

    /// Receives what the dead have sent, and is told that they died: the pid must be one of theirs.
    fn until_told(&self, stage: &Stage) -> RecvTimeoutError {
        loop {
            match self.near.recv_timeout(PATIENCE / 2) {
                Ok(message) => _ = settle::<L>(message, stage, BACK),
                Err(RecvTimeoutError::PeerDied { pid }) => {
                    assert!(stage.was_here(pid), "{pid} never had the end");
                    return RecvTimeoutError::PeerDied { pid };
                }
                Err(end) => return end,
            }
        }
    }

    /// The far end in the keeper's hands, unless it was closed.
    fn succeed(&mut self, stage: &Stage) -> Option<End<L>> {
        match Connection::resume(&self.ticket) {
            Ok(far) => Some(far),
            Err(refused) if refused.kind() == ErrorKind::Closed => None,
            Err(refused) => {
                assert!(!stage.is_at_it(), "a dead one's end: {refused}");
                assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
                Some(std::mem::replace(&mut self.far, L::pair().0))
            }
        }
    }

    /// Receives at the far end what is there, and sends both ways.
    fn go_on(&self, far: &End<L>, stage: &Stage) {
        while take_one::<L>(far, stage, THERE).is_some() {}
        while take_one::<L>(&self.near, stage, BACK).is_some() {}
        assert_eq!(stage.ledger().lost(), None, "accepted, and lost");
        assert!(!self.near.is_disconnected() && !far.is_disconnected());
        pass::<L>(&self.near, far, L::VOLUME);
        pass::<L>(far, &self.near, L::VOLUME);
        fill::<L>(&self.near, far);
        fill::<L>(far, &self.near);
    }
}

/// Sends so many messages and receives each at once; behind it there is nothing that looks like one.
fn pass<L: Letter>(from: &End<L>, to: &End<L>, count: u64) {
    for id in UNBOOKED..UNBOOKED + count {
        L::send(from, id, PATIENCE / 2).unwrap_or_else(|error| panic!("message {id}: {error}"));
        let message = to.recv_timeout(PATIENCE / 2).expect("what was just sent");
        assert_eq!(L::read(&message), id, "out of order");
        drop(message);
        assert!(to.try_recv().is_err(), "a message that nobody sent");
    }
}

/// Exactly so many messages fit as the capacity says.
fn fill<L: Letter>(from: &End<L>, to: &End<L>) {
    let Some(fits) = L::FITS else { return };
    let ids = UNBOOKED..UNBOOKED + fits;
    for id in ids.clone() {
        L::send(from, id, Duration::ZERO).expect("room up to the capacity");
    }
    let over = L::send(from, UNBOOKED, Duration::ZERO);
    assert_eq!(over, Err(SendTimeoutError::Timeout), "more than fits");
    ids.for_each(|id| assert_eq!(L::read(&to.try_recv().expect("just sent")), id));
}

/// So many messages on their way that a sender has all the blocks that it ever has: how many it needs before depends on who
/// died with which.
fn crowd<L: Letter>(from: &End<L>, to: &End<L>) {
    let ids = UNBOOKED..UNBOOKED + 4;
    for id in ids.clone() {
        L::send(from, id, Duration::ZERO).expect("room for as many as are worth their memory");
    }
    ids.for_each(|id| assert_eq!(L::read(&to.try_recv().expect("just sent")), id));
}

/// After the deaths: is told, takes the far end over, and goes on.
fn finish<L: Letter>(mut world: World<L>, stage: &Stage) {
    if stage.is_at_it() {
        let end = world.until_told(stage);
        assert!(matches!(end, RecvTimeoutError::PeerDied { .. }), "{end}");
    }
    let far = world.succeed(stage).expect("nobody closed it");
    world.go_on(&far, stage);
    drop(far);
    let end = world.near.recv_timeout(PATIENCE / 2).map(drop);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected));
}

/// A pipe with some messages on their way, whose far end may be taken.
fn begin<L: Letter>(stage: &Stage) -> World<L> {
    let world = World::make();
    BEFORE.for_each(|id| sent::<L>(&world.near, stage, id));
    world.offer();
    world
}

pub fn keep<L: Letter>(stage: &Stage) {
    let world = begin::<L>(stage);
    stage.stand_by();
    finish(world, stage);
}

/// As [`keep`], and all the memory of the pipe is accounted for.
pub fn keep_measured<L: Letter>(stage: &Stage) {
    let mut world = begin::<L>(stage);
    stage.stand_by();
    let far = world.succeed(stage).expect("nobody closed it");
    world.go_on(&far, stage);
    crowd::<L>(&world.near, &far);
    crowd::<L>(&far, &world.near);
    stage.measure_anonymous();
}

/// The far end was closed, or a half of it; the near one receives what was sent before, and learns it on either side.
pub fn keep_closed<L: Letter>(stage: &Stage) {
    let mut world = begin::<L>(stage);
    stage.stand_by();
    if !stage.is_at_it() {
        return finish(world, stage);
    }
    let end = world.until_told(stage);
    assert_ne!(end, RecvTimeoutError::Timeout, "nobody tells");
    if let Some(far) = world.succeed(stage) {
        assert!(!stage.completed(), "it was closed, and can be had");
        return world.go_on(&far, stage);
    }
    assert_eq!(stage.ledger().lost_from(BACK), None, "accepted, and lost");
    let refused = (0..1000).find_map(|n| L::send(&world.near, UNBOOKED + n, PATIENCE / 2).err());
    let ends = |error| !matches!(error, SendTimeoutError::Timeout);
    assert!(refused.is_some_and(ends), "nobody tells who sends");
}

/// The actor offers the end on; who holds the handle has it, and else who resumes.
pub fn keep_offered<L: Letter>(stage: &Stage) {
    let mut world = begin::<L>(stage);
    stage.stand_by();
    if stage.is_at_it() {
        let end = world.until_told(stage);
        assert!(matches!(end, RecvTimeoutError::PeerDied { .. }), "{end}");
    }
    let offered = stage.is_at_it().then(|| world.ends.try_get_owned().ok());
    let far = offered.flatten().or_else(|| world.succeed(stage));
    world.go_on(&far.expect("nobody closed it"), stage);
}

/// Sleeps for messages while actor and recoverer come and die.
pub fn keep_asleep_for_messages<L: Letter>(stage: &Stage) {
    let world = begin::<L>(stage);
    stage.ready();
    stage.until_at_it();
    if stage.is_at_it() {
        let end = world.until_told(stage);
        assert!(matches!(end, RecvTimeoutError::PeerDied { .. }), "{end}");
    }
    stage.until_dead();
    finish(world, stage);
}

/// Sleeps for room while actor and recoverer come and die.
pub fn keep_asleep_for_room<L: Letter>(stage: &Stage) {
    let world = begin::<L>(stage);
    for id in BEFORE.end..LATER {
        stage.ledger().putting(id);
        if L::send(&world.near, id, Duration::ZERO).is_err() {
            break;
        }
        stage.ledger().accepted(id);
    }
    stage.ready();
    stage.until_at_it();
    if stage.is_at_it() {
        let sent = send_one::<L>(&world.near, stage, LATER);
        assert_ne!(sent, Err(SendTimeoutError::Timeout), "nobody tells");
    }
    stage.until_dead();
    finish(world, stage);
}

/// The actor finds no message, and sleeps; then there are some.
pub fn keep_empty<L: Letter>(stage: &Stage) {
    let world = World::<L>::make();
    world.offer();
    stage.ready();
    stage.until_at_it();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    for id in BEFORE {
        let sent = send_one::<L>(&world.near, stage, id);
        assert_ne!(sent, Err(SendTimeoutError::Timeout), "nobody tells");
    }
    stage.until_dead();
    finish(world, stage);
}

/// The actor finds no room, and sleeps; then there is some.
pub fn keep_full<L: Letter>(stage: &Stage) {
    let world = World::<L>::make();
    let fits = L::FITS.expect("a known number fits");
    (BACK..BACK + fits).for_each(|id| sent::<L>(&world.far, stage, id));
    world.offer();
    stage.ready();
    stage.until_at_it();
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    while take_one::<L>(&world.near, stage, BACK).is_some() {}
    stage.until_dead();
    finish(world, stage);
}
