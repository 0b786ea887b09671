//! A served object: who serves it is killed, and another one serves it again; who calls is killed.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use multiproc::{CallError, ErrorKind, Manager, Proxy, Served};

use crate::cell::{Books, Cell, Gates, HANG, run};
use crate::common::board::{Zeroed, eventually};
use crate::witness;

const NAME: &str = "service";
const LIMIT: u64 = 4 << 20;

/// As many calls in a round, at most.
const MOST: usize = 1 << 22;

/// The books of one round.
#[derive(Debug)]
pub struct Ledger {
    gates: Gates,
    /// Calls that were answered, and that were begun; each has the number of those before.
    answered: AtomicU64,
    begun: AtomicU64,
    /// One bit for each call that was run.
    ran: [AtomicU64; MOST / 64],
    /// Calls that were run once more.
    again: AtomicU64,
}

// SAFETY: gates and atomics.
unsafe impl Zeroed for Ledger {}

impl Books for Ledger {
    const COUNTED: [&'static str; 2] = ["calls", "calls begun"];

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn counts(&self) -> [u64; 2] {
        [self.answered.load(SeqCst), self.begun.load(SeqCst)]
    }
}

impl Ledger {
    fn mark(&self, number: u64) -> bool {
        let bit = 1 << (number % 64);
        self.ran[number as usize / 64].fetch_or(bit, SeqCst) & bit == 0
    }

    fn has_run(&self, number: u64) -> bool {
        self.ran[number as usize / 64].load(SeqCst) >> (number % 64) & 1 == 1
    }
}

const CELL: Cell<Ledger> = Cell {
    name: "service servers",
    auditor: audit,
    victims: serve,
    others: call,
    pause: 2000,
    creation: false,
    aim: |_: &Ledger, _| true,
};

/// Who serves is killed, and who waits to.
pub fn servers_killed() {
    run(&CELL);
}

/// Who calls is killed.
pub fn callers_killed() {
    run(&Cell {
        name: "service callers",
        victims: call,
        others: serve,
        ..CELL
    });
}

multiproc::service! {
    trait Marks {
        fn mark(&mut self, number: u64) -> u64;
    }
}

struct Marker(&'static Ledger);

impl Marks for Marker {
    fn mark(&mut self, number: u64) -> u64 {
        if !self.0.mark(number) {
            self.0.again.fetch_add(1, SeqCst);
        }
        (0..1000).for_each(|_| std::hint::spin_loop()); // so that many die in the middle of a call
        number
    }
}

fn manager() -> Manager {
    let manager = Manager::builder().name(NAME).limit(LIMIT);
    manager.open_or_create().expect("open or create")
}

/// Serves, if nobody does.
fn try_serve(manager: &Manager, ledger: &Ledger) -> Option<Served> {
    // SAFETY: the board stays mapped for as long as a process lives.
    let ledger = unsafe { &*std::ptr::from_ref(ledger) };
    match manager.serve::<dyn Marks>("marks", Box::new(Marker(ledger))) {
        Ok(served) => Some(served),
        Err(taken) => {
            assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
            None
        }
    }
}

fn serve(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let manager = manager();
    let mut served = None;
    while !ledger.gates.stop.is_open() {
        served = served.or_else(|| try_serve(&manager, ledger));
        witness::moved();
        std::thread::sleep(Duration::from_micros(200)); // the pace at which who waits looks whether he may serve
    }
}

fn proxy(manager: &Manager) -> Proxy<dyn Marks> {
    let mut proxy = None;
    let found = eventually(HANG, || {
        proxy = manager.proxy("marks").ok();
        proxy.is_some()
    });
    assert!(found, "nobody serves");
    proxy.expect("just found")
}

/// Calls once; false if the server ended meanwhile.
fn call_once(marks: &Proxy<dyn Marks>, ledger: &Ledger) -> bool {
    let number = ledger.begun.fetch_add(1, SeqCst);
    assert!(
        (number as usize) < MOST,
        "a longer round than there is room"
    );
    match marks.mark(number) {
        Ok(same) => {
            assert_eq!(same, number, "another call's reply");
            assert!(ledger.has_run(number), "answered, and not run");
            ledger.answered.fetch_add(1, SeqCst);
            true
        }
        Err(CallError::Closed) => {
            assert!(!ledger.has_run(number), "closed, and run");
            false
        }
        Err(CallError::ServerDied { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

fn call(ledger: &Ledger) {
    assert!(ledger.gates.joined.wait());
    let marks = proxy(&manager());
    while !ledger.gates.stop.is_open() {
        match call_once(&marks, ledger) {
            true => witness::moved(),
            false => std::thread::sleep(Duration::from_micros(100)), // the pace at which it looks for another server
        }
    }
}

/// No call was run twice, and whoever comes now can serve and call.
fn audit(ledger: &Ledger) {
    let manager = manager();
    ledger.gates.until_audit();
    assert_eq!(ledger.again.load(SeqCst), 0, "calls that were run again");
    let served = try_serve(&manager, ledger);
    assert!(served.is_some(), "somebody serves who has left");
    let marks = proxy(&manager);
    for _ in 0..100 {
        assert!(call_once(&marks, ledger));
    }
}
