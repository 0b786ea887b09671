//! The pipe's cells: senders, receivers, and whoever does both are killed; a successor resumes what they had.

use std::time::Duration;

use multiproc::{Connection, Pipe, Queue, RecvTimeoutError, SendTimeoutError};

use crate::cell::{Books, Cell, HANG, run};
use crate::common::board::eventually;
use crate::mail::{End, Lane, Ledger, Mail, Parcels, Ticket, Words};
use crate::witness;

/// Who is to have an end takes it from one of these queues, or resumes by a ticket from the last.
const VICTIMS: &str = "victims";
const OTHERS: &str = "others";
const TICKETS: &str = "tickets";

/// How long a call waits before it looks whether to stop.
const WHILE: Duration = Duration::from_millis(50);

/// Those who send, each of which somebody receives from.
pub fn senders_killed() {
    cell("pipe senders", [audit_two::<Words>, feed, eat::<Words>]);
}

/// Those who receive, one or a few at a time.
pub fn receivers_killed() {
    cell("pipe receivers", [audit_two::<Words>, devour, supply]);
}

/// Both ends of one pipe, in turn; messages of many lengths both ways, in bursts.
pub fn both_ends_killed() {
    cell("pipe ends", [audit_one::<Parcels>, exchange, look_on]);
}

fn cell(name: &'static str, [auditor, victims, others]: [fn(&Ledger); 3]) {
    run(&Cell {
        name,
        auditor,
        victims,
        others,
        pause: 2000,
        creation: false,
        aim: |_, _| true,
    });
}

// ---- getting an end

fn queue<T: multiproc::Message>(name: &str) -> Queue<T> {
    let mut queue = None;
    let found = eventually(HANG, || {
        queue = Queue::open(name).ok();
        queue.is_some()
    });
    assert!(found, "nobody makes the pipes");
    queue.expect("just found")
}

/// An end, and its number: a new one, or that of a dead process.
fn arrive<M: Mail>(name: &str) -> (usize, End<M>) {
    let fresh = queue::<(u64, End<M>)>(name);
    let tickets = queue::<(u64, Ticket<M>)>(TICKETS);
    let mut found = None;
    let came = eventually(HANG, || {
        found = fresh.try_get_owned().ok();
        if found.is_none() && name == VICTIMS {
            found = resume_any::<M>(&tickets);
        }
        found.is_some()
    });
    assert!(came, "no end is to be had");
    let (number, end) = found.expect("just found");
    (number as usize, end)
}

/// Tries the next ticket, which stays in the queue, however this process ends.
fn resume_any<M: Mail>(tickets: &Queue<(u64, Ticket<M>)>) -> Option<(u64, End<M>)> {
    let message = tickets.try_get().ok()?;
    let (number, ticket) = message.to_owned().expect("the auditor has the pipe");
    tickets.put((number, ticket.clone())).expect("room");
    message.ack();
    Some((number, Connection::resume(&ticket).ok()?))
}

// ---- the workers

/// The other end was found without anybody: that is an answer too, until somebody takes it over.
fn deserted() {
    witness::moved();
    std::thread::sleep(Duration::from_micros(100)); // the pace of a poll: nobody announces a successor
}

fn feed(ledger: &Ledger) {
    send_all::<Words>(VICTIMS, ledger);
}

fn supply(ledger: &Ledger) {
    send_all::<Words>(OTHERS, ledger);
}

fn send_all<M: Mail>(name: &str, ledger: &Ledger) {
    let (number, end) = arrive::<M>(name);
    let lane = ledger.sending(number);
    let mut next = lane.succeed();
    while !ledger.stopping() {
        next = send_next::<M>(&end, lane, next, WHILE);
    }
    std::mem::forget(end); // the auditor takes it over
}

/// Sends message `next`, and says which comes after it.
fn send_next<M: Mail>(end: &End<M>, lane: &Lane, next: u64, limit: Duration) -> u64 {
    lane.sending(next);
    match M::send(end, next, limit) {
        Ok(()) => {
            lane.sent(next);
            witness::moved();
            return next + 1;
        }
        Err(SendTimeoutError::Timeout) => {}
        Err(SendTimeoutError::PeerDied { .. }) => deserted(),
        Err(other) => panic!("message {next}: {other}"),
    }
    next
}

fn devour(ledger: &Ledger) {
    receive_all::<Words>(VICTIMS, ledger);
}

fn eat<M: Mail>(ledger: &Ledger) {
    receive_all::<M>(OTHERS, ledger);
}

fn receive_all<M: Mail>(name: &str, ledger: &Ledger) {
    let (number, end) = arrive::<M>(name);
    while !ledger.stopping() {
        receive_some::<M>(&end, ledger.receiving(number), WHILE);
    }
    std::mem::forget(end); // the auditor takes it over
}

/// Receives a message, and has up to three more in hand with it; false if there was none.
fn receive_some<M: Mail>(end: &End<M>, lane: &Lane, limit: Duration) -> bool {
    let first = match end.recv_timeout(limit) {
        Ok(message) => message,
        Err(RecvTimeoutError::Timeout) => return false,
        Err(RecvTimeoutError::PeerDied { .. }) => {
            deserted();
            return false;
        }
        Err(other) => panic!("{other}"),
    };
    let mut last = lane.came(lane.acknowledged(), M::read(&first));
    let mut held = vec![first];
    for message in end.drain().take(last as usize % 4) {
        last = lane.came(last, M::read(&message));
        held.push(message);
    }
    lane.acknowledging(last);
    drop(held);
    lane.acknowledge(last);
    witness::moved();
    true
}

/// Sends a burst, receives what there is, and so on.
fn exchange(ledger: &Ledger) {
    let (number, end) = arrive::<Parcels>(VICTIMS);
    let (out, back) = (ledger.sending(number), ledger.receiving(number));
    let mut next = out.succeed();
    while !ledger.stopping() {
        for _ in 0..1 + next % 40 {
            let before = next;
            next = send_next::<Parcels>(&end, out, next, Duration::ZERO);
            if next == before {
                break;
            }
        }
        while receive_some::<Parcels>(&end, back, Duration::ZERO) {}
        receive_some::<Parcels>(&end, back, Duration::from_millis(1));
        witness::moved();
    }
    std::mem::forget(end); // the auditor takes it over
}

/// Nothing to do: the survivor of the pipe is a victim itself.
fn look_on(ledger: &Ledger) {
    witness::retire();
    ledger.until_stop();
}

// ---- the auditor

/// Two pipes, of each of which the victims have one end.
fn audit_two<M: Mail>(ledger: &Ledger) {
    audit::<M>(ledger, 2, [VICTIMS, OTHERS]);
}

/// One pipe, of which the victims have both.
fn audit_one<M: Mail>(ledger: &Ledger) {
    audit::<M>(ledger, 1, [VICTIMS, VICTIMS]);
}

/// Makes the pipes; when all have left takes every end over, and finds all that was sent, and the pipes as good as new.
fn audit<M: Mail>(ledger: &Ledger, pipes: u64, takers: [&str; 2]) {
    let fresh = [VICTIMS, OTHERS].map(named::<(u64, End<M>)>);
    let offered = named::<(u64, Ticket<M>)>(TICKETS);
    let mut tickets = Vec::new();
    for number in 0..2 * pipes {
        let taker = takers[number as usize % 2];
        if number % 2 == 0 {
            let pair = Pipe::<M::Message, M::Message>::builder().capacity(M::CAPACITY);
            let (near, far) = pair.pair().expect("a pipe");
            tickets.extend([near.ticket(), far.ticket()]);
            let second = usize::from(takers[1] != VICTIMS);
            fresh[second].put((number + 1, far)).expect("room");
            fresh[0].put((number, near)).expect("room");
        }
        if taker == VICTIMS {
            let ticket = tickets[number as usize].clone();
            offered.put((number, ticket)).expect("room");
        }
    }
    ledger.gates().until_audit();
    let resume = |ticket| Connection::resume(ticket).expect("all who had it are dead");
    let ends: Vec<End<M>> = tickets.iter().map(resume).collect();
    for (number, end) in ends.iter().enumerate() {
        while receive_some::<M>(end, ledger.receiving(number), Duration::ZERO) {}
    }
    (0..ends.len()).for_each(|number| ledger.sending(number).check_nothing_is_lost());
    for pair in ends.chunks(2) {
        pass::<M>(&pair[0], &pair[1]);
        pass::<M>(&pair[1], &pair[0]);
    }
}

fn named<T: multiproc::Message>(name: &str) -> Queue<T> {
    let queue = Queue::builder().name(name).capacity(64);
    queue.max_deliveries(127).create().expect("create")
}

/// The pipe is as good as new.
fn pass<M: Mail>(from: &End<M>, to: &End<M>) {
    for number in 1..300 {
        M::send(from, number, HANG / 4).expect("room");
        let message = to.recv_timeout(HANG / 4).expect("what was just sent");
        assert_eq!(M::read(&message), number);
    }
    assert!(to.try_recv().is_err(), "a message that nobody sent");
}
