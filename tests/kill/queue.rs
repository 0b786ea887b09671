//! The queue's cells: producers, consumers, holders of leases, waiters on either side, creators.

use std::time::{Duration, Instant};

use multiproc::{Bytes, PutTimeoutError, Queue};

use crate::cell::{Books, Cell, HANG, run};
use crate::common::board::eventually;
use crate::ledger::{Ledger, Order};
use crate::witness;

const NAME: &str = "queue";
const CAPACITY: usize = 16;

/// Some messages fit the slot, others spill.
const MESSAGE_SIZE: usize = 128;

pub fn producers_killed() {
    run(&Cell {
        name: "producers",
        auditor: audit,
        victims: produce,
        others: consume,
        pause: 2000,
        creation: false,
        aim: at_random,
    });
}

pub fn consumers_killed() {
    run(&Cell {
        name: "consumers",
        auditor: audit,
        victims: consume,
        others: produce,
        pause: 2000,
        creation: false,
        aim: at_random,
    });
}

pub fn lessees_killed() {
    run(&Cell {
        name: "lessees",
        auditor: audit,
        victims: lease,
        others: produce,
        pause: 2000,
        creation: false,
        aim: at_random,
    });
}

/// Consumers that nearly always sleep: the producers are slow.
pub fn waiting_consumers_killed() {
    run(&Cell {
        name: "waiting consumers",
        auditor: audit,
        victims: consume,
        others: produce_slowly,
        pause: 4000,
        creation: false,
        aim: at_random,
    });
}

/// Producers that nearly always sleep: the consumers are slow.
pub fn waiting_producers_killed() {
    run(&Cell {
        name: "waiting producers",
        auditor: audit,
        victims: produce,
        others: consume_slowly,
        pause: 4000,
        creation: false,
        aim: at_random,
    });
}

/// A queue whose creator dies at any instant, while it makes the queue or after: the others make it or go on with it.
pub fn creators_killed() {
    run(&Cell {
        name: "creators",
        auditor: audit_whatever_is_there,
        victims: open_or_create_and_produce,
        others: open_or_create_and_consume,
        pause: 2000,
        creation: true,
        aim: at_random,
    });
}

fn at_random(_: &Ledger, _: u32) -> bool {
    true
}

fn builder() -> multiproc::QueueBuilder<Bytes> {
    Queue::builder()
        .name(NAME)
        .capacity(CAPACITY)
        .message_size(MESSAGE_SIZE)
        .max_deliveries(127)
}

/// The auditor may still be at it.
fn open() -> Queue<Bytes> {
    let mut queue = None;
    let found = eventually(HANG, || {
        queue = Queue::open(NAME).ok();
        queue.is_some()
    });
    assert!(found, "nobody creates the queue");
    queue.expect("just found")
}

fn produce(ledger: &Ledger) {
    produce_into(&open(), ledger);
}

fn produce_into(queue: &Queue<Bytes>, ledger: &Ledger) {
    produce_with(queue, ledger, Duration::ZERO);
}

fn produce_slowly(ledger: &Ledger) {
    produce_with(&open(), ledger, Duration::from_micros(500));
}

fn produce_with(queue: &Queue<Bytes>, ledger: &Ledger, pause: Duration) {
    while let Some(me) = ledger.next_producer() {
        while !ledger.stopping() && ledger.put(queue, me) {
            std::thread::sleep(pause); // the pace of this cell; nothing is waited for
        }
        if ledger.stopping() {
            return;
        }
    }
    witness::retire();
    ledger.until_stop();
}

fn consume(ledger: &Ledger) {
    consume_from(&open(), ledger, Duration::ZERO);
}

fn consume_slowly(ledger: &Ledger) {
    consume_from(&open(), ledger, Duration::from_micros(500));
}

fn consume_from(queue: &Queue<Bytes>, ledger: &Ledger, pause: Duration) {
    let mut order = Order::new();
    while !ledger.stopping() || !queue.is_empty() {
        let Ok(message) = queue.get_timeout(Duration::from_millis(50)) else {
            continue;
        };
        let ticket = ledger.taken(&message, message.delivery_count());
        order.check(&ticket, message.delivery_count());
        ticket.acking();
        message.ack();
        ticket.acked();
        std::thread::sleep(pause); // the pace of this cell; nothing is waited for
    }
}

fn lease(ledger: &Ledger) {
    let queue = open();
    let mut held = Vec::new();
    while !ledger.stopping() || !queue.is_empty() {
        let Ok(lease) = queue.lease_timeout(Duration::from_millis(50)) else {
            continue;
        };
        let ticket = ledger.taken(&lease, lease.delivery_count());
        held.push((ticket, lease));
        // A few at once, acknowledged out of order; now and then one is given back.
        if held.len() == 5 {
            let (ticket, lease) = held.swap_remove(1);
            ticket.acking();
            lease.ack();
            ticket.acked();
            held.drain(..)
                .for_each(|(ticket, lease)| settle(ticket.number, ticket, lease));
        }
    }
    held.drain(..)
        .for_each(|(ticket, lease)| settle(1, ticket, lease));
}

fn settle(turn: usize, ticket: crate::ledger::Ticket<'_>, lease: multiproc::Lease<Bytes>) {
    // Not again and again: after `max_deliveries` it would be a dead letter.
    if turn.is_multiple_of(7) && lease.delivery_count() < 4 {
        return lease.give_back();
    }
    ticket.acking();
    lease.ack();
    ticket.acked();
}

fn audit(ledger: &Ledger) {
    let queue = builder().create().expect("create");
    check_at_the_end(&queue, ledger);
}

fn audit_whatever_is_there(ledger: &Ledger) {
    let queue = builder().open_or_create().expect("open or create");
    check_at_the_end(&queue, ledger);
}

fn open_or_create_and_produce(ledger: &Ledger) {
    produce_into(&builder().open_or_create().expect("open or create"), ledger);
}

fn open_or_create_and_consume(ledger: &Ledger) {
    consume_from(
        &builder().open_or_create().expect("open or create"),
        ledger,
        Duration::ZERO,
    );
}

/// Sleeps until all others have left, then drains, and finds every accepted message and the whole capacity.
fn check_at_the_end(queue: &Queue<Bytes>, ledger: &Ledger) {
    ledger.gates().until_audit();
    let begin = Instant::now();
    loop {
        while let Ok(message) = queue.get_timeout(Duration::from_millis(20)) {
            ledger.receive(message);
        }
        let (lost, waited) = (ledger.lost(), begin.elapsed());
        if lost.is_empty() {
            break;
        }
        assert!(
            waited < HANG / 2,
            "{} accepted messages are lost, {:?} first: {queue:?}",
            lost.len(),
            lost[0]
        );
    }
    queue
        .join_timeout(HANG / 2)
        .expect("everything is acknowledged");
    for n in 0..CAPACITY {
        queue
            .put_timeout(&[n as u8][..], HANG / 4)
            .expect("room up to the capacity");
    }
    assert_eq!(
        queue.put_timeout(&[0][..], Duration::ZERO),
        Err(PutTimeoutError::Timeout)
    );
    for n in 0..CAPACITY {
        assert_eq!(
            &*queue.get_timeout(HANG / 4).expect("what was just put"),
            &[n as u8]
        );
    }
}
