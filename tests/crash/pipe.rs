//! The pipe: every verb crashed at every step, for each way a message lies in it.
//!
//! The keeper makes it, keeps the near end, and offers the far one in a queue. The actor takes that and is killed; the
//! recoverer takes it over by a ticket, goes on, and is killed as well; then the keeper takes it over in its turn.

use std::time::Duration;

use multiproc::{Connection, Incoming, Queue, SendTimeoutError, Ticket};

use crate::engine::{PATIENCE, Scenario, Stage};
use crate::letter::{End, Fixed, Inline, Large, Letter, Spilled};
use crate::pipe_keeper::{
    keep, keep_asleep_for_messages, keep_asleep_for_room, keep_closed, keep_empty, keep_full,
    keep_measured, keep_offered,
};

/// Queues by which the keeper hands out the far end and the ticket for it.
pub const ENDS: &str = "ends";
pub const TICKETS: &str = "tickets";

/// The numbers of messages on their way to the far end, and to the near one.
pub const THERE: u64 = 0;
pub const BACK: u64 = 32;
/// What the keeper has sent before anybody comes.
pub const BEFORE: std::ops::Range<u64> = THERE + 1..THERE + 4;
/// The first message of the actor, and the recoverer's.
const ACTORS: u64 = BACK + 11;
const RECOVERERS: u64 = BACK + 18;

macro_rules! scenarios {
    ($($keep:ident $recoverer:ident $load:ident $name:literal: $($verb:literal $act:ident)*);* $(;)?) => {
        &[$($(Scenario {
            name: concat!($name, " pipe: ", $verb),
            keeper: $keep::<$load>,
            actor: $act::<$load>,
            recoverer: $recoverer::<$load>,
        },)*)*]
    };
}

/// Every verb of the pipe that stores anything.
pub const SCENARIOS: &[Scenario] = scenarios!(
    keep succeed Fixed "fixed":
        "attach" attach "send" send "receive and ack" receive "hold" hold "give back" give_back
        "receive owned" receive_owned "claim and commit" cut_short "claim and abort" abort
        "take an offer back" withdraw;
    keep succeed Inline "inline":
        "attach" attach "send" send "receive all" receive_all "hold" hold
        "claim and commit short" cut_short "claim and abort" abort;
    keep succeed Spilled "spilled":
        "attach" attach "send" send "receive all" receive_all "hold" hold
        "claim and commit short" cut_short "claim and abort" abort "offer" offer
        "take an offer back" withdraw;
    keep_measured succeed Large "large":
        "send" send "hold" hold "claim and abort" abort "offer" offer;
    keep_closed succeed Fixed "fixed": "close" close "close to send" close_sender
        "close to receive" close_receiver;
    keep_closed succeed Spilled "spilled": "close" close;
    keep_offered take_offer Fixed "fixed": "offer" offer "offer and let go" offer_and_drop;
    keep_asleep_for_messages succeed Fixed "fixed": "send to a sleeper" send_late;
    keep_asleep_for_messages succeed Inline "inline": "send to a sleeper" send_late;
    keep_asleep_for_room succeed Fixed "fixed": "receive for a sleeper" receive_late;
    keep_asleep_for_room succeed Inline "inline": "receive for a sleeper" receive_late;
    keep_empty succeed Fixed "fixed": "sleep for a message" sleep_for_message;
    keep_full succeed Fixed "fixed": "sleep for room" sleep_for_room;
);

// ---- what everybody does

pub fn send_one<L: Letter>(end: &End<L>, stage: &Stage, id: u64) -> Result<(), SendTimeoutError> {
    stage.ledger().putting(id);
    L::send(end, id, PATIENCE / 2)?;
    stage.ledger().accepted(id);
    Ok(())
}

pub fn sent<L: Letter>(end: &End<L>, stage: &Stage, id: u64) {
    send_one::<L>(end, stage, id).unwrap_or_else(|error| panic!("message {id}: {error}"));
}

pub fn settle<L: Letter>(message: Incoming<'_, L::Message>, stage: &Stage, lane: u64) -> u64 {
    let id = L::read(&message);
    stage.ledger().in_order(lane, id);
    stage.ledger().acking(id);
    message.ack();
    stage.ledger().acked(id);
    id
}

/// Receives and acknowledges one message, if there is one.
pub fn take_one<L: Letter>(end: &End<L>, stage: &Stage, lane: u64) -> Option<u64> {
    let message = end.try_recv().ok()?;
    Some(settle::<L>(message, stage, lane))
}

// ---- the recoverer

/// Takes the end over, receives a message, and sends one.
fn succeed<L: Letter>(stage: &Stage) {
    let tickets = Queue::<Ticket<L::Message, L::Message>>::open(TICKETS).expect("open");
    let ticket = tickets.try_get().expect("the keeper has put it");
    stage.here();
    stage.armed();
    let owned = ticket.to_owned().expect("the keeper has the pipe");
    if let Ok(end) = Connection::resume(&owned) {
        take_one::<L>(&end, stage, THERE);
        sent::<L>(&end, stage, RECOVERERS);
        std::mem::forget(end);
    }
    std::mem::forget((owned, ticket));
    std::mem::forget(tickets);
}

/// Takes up the handle that the actor has put, if there is one.
fn take_offer<L: Letter>(stage: &Stage) {
    let ends = Queue::<End<L>>::open(ENDS).expect("open");
    stage.here();
    stage.armed();
    if let Ok(end) = ends.try_get_owned() {
        take_one::<L>(&end, stage, THERE);
        sent::<L>(&end, stage, RECOVERERS);
        std::mem::forget(end);
    }
    std::mem::forget(ends);
}

// ---- the actors

/// Takes the end that the keeper has offered; every step of what follows counts.
fn arrive<L: Letter>(stage: &Stage) -> End<L> {
    let end = Queue::<End<L>>::open(ENDS).expect("open").get_owned();
    stage.here();
    stage.at_it();
    stage.armed();
    end.expect("the keeper offers it")
}

fn attach<L: Letter>(stage: &Stage) {
    let ends = Queue::<End<L>>::open(ENDS).expect("open");
    let offered = ends.get().expect("the keeper offers it");
    stage.here();
    stage.armed();
    let end = offered.to_owned().expect("the keeper has the pipe");
    stage.at_it();
    std::mem::forget((end, offered));
    std::mem::forget(ends);
}

fn send<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    sent::<L>(&end, stage, ACTORS);
    sent::<L>(&end, stage, ACTORS + 1);
    std::mem::forget(end);
}

/// As `send`, when the keeper sleeps.
fn send_late<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    sent::<L>(&end, stage, ACTORS);
    std::mem::forget(end);
}

fn receive<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    take_one::<L>(&end, stage, THERE).expect("a message was sent before");
    std::mem::forget(end);
}

fn receive_late<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    std::thread::sleep(Duration::from_millis(1)); // either order is right; this makes the rarer one frequent
    (0..2).for_each(|_| _ = take_one::<L>(&end, stage, THERE));
    std::mem::forget(end);
}

fn receive_all<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    while take_one::<L>(&end, stage, THERE).is_some() {}
    std::mem::forget(end);
}

fn receive_owned<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    // Acknowledged at once: the caller learns which message it was only when it is gone.
    stage.ledger().acking(BEFORE.start);
    end.try_recv_owned().expect("a message was sent before");
    stage.ledger().acked(BEFORE.start);
    std::mem::forget(end);
}

/// Has two messages in hand.
fn hold<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    let held: Vec<_> = end.drain().take(2).collect();
    let ids: Vec<_> = held.iter().map(|message| L::read(message)).collect();
    assert_eq!(ids, [BEFORE.start, BEFORE.start + 1]);
    std::mem::forget(held);
    std::mem::forget(end);
}

fn give_back<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    let message = end.try_recv().expect("a message was sent before");
    message.give_back();
    take_one::<L>(&end, stage, THERE).expect("the same again");
    std::mem::forget(end);
}

fn cut_short<L: Letter>(stage: &Stage) {
    let mut end = arrive::<L>(stage);
    stage.ledger().putting(ACTORS);
    L::cut_short(&mut end, ACTORS);
    stage.ledger().accepted(ACTORS);
    std::mem::forget(end);
}

/// A claim that is never committed, and a message behind it.
fn abort<L: Letter>(stage: &Stage) {
    let mut end = arrive::<L>(stage);
    L::abort(&mut end, ACTORS);
    sent::<L>(&end, stage, ACTORS + 1);
    std::mem::forget(end);
}

fn close<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    sent::<L>(&end, stage, ACTORS);
    drop(end);
}

fn close_sender<L: Letter>(stage: &Stage) {
    let (sender, receiver) = arrive::<L>(stage).split();
    drop(sender);
    std::mem::forget(receiver);
}

fn close_receiver<L: Letter>(stage: &Stage) {
    let (sender, receiver) = arrive::<L>(stage).split();
    drop(receiver);
    std::mem::forget(sender);
}

/// Sends the end on to somebody else.
fn offer<L: Letter>(stage: &Stage) {
    let ends = Queue::<End<L>>::open(ENDS).expect("open");
    let end = arrive::<L>(stage);
    sent::<L>(&end, stage, ACTORS);
    ends.put(&end).expect("room");
    std::mem::forget((ends, end));
}

fn offer_and_drop<L: Letter>(stage: &Stage) {
    let ends = Queue::<End<L>>::open(ENDS).expect("open");
    let end = arrive::<L>(stage);
    ends.put(&end).expect("room");
    drop(end);
    std::mem::forget(ends);
}

/// Offers the end, and uses it all the same.
fn withdraw<L: Letter>(stage: &Stage) {
    let ends = Queue::<End<L>>::open(ENDS).expect("open");
    let end = arrive::<L>(stage);
    ends.put(&end).expect("room");
    sent::<L>(&end, stage, ACTORS);
    take_one::<L>(&end, stage, THERE).expect("a message was sent before");
    std::mem::forget((ends, end));
}

fn sleep_for_message<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    let message = end.recv_timeout(PATIENCE / 2).expect("a message comes");
    settle::<L>(message, stage, THERE);
    std::mem::forget(end);
}

fn sleep_for_room<L: Letter>(stage: &Stage) {
    let end = arrive::<L>(stage);
    sent::<L>(&end, stage, ACTORS);
    std::mem::forget(end);
}
