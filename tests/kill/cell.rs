//! One cell of the table: a role is killed again and again at random instants, and the others must go on.
//!
//! Before each kill there is a sham, for which nobody dies: it says how long the same processes take anyway.

use std::time::Duration;

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::{Random, Times, size};
use crate::witness::{self, Answer, Witnesses, now};

/// A survivor that makes no progress for so long is wedged.
pub const HANG: Duration = Duration::from_secs(10);

/// Kills before the books are closed and checked, and new ones opened.
const KILLS_PER_ROUND: u64 = 25;

/// The body of a process; it runs until the books say stop.
pub type Body<B> = fn(&B);

/// What the processes of a cell report to, and the gates between them and the driver.
pub trait Books: Zeroed {
    /// What [`counts`](Books::counts) counts.
    const COUNTED: [&'static str; 2];

    fn gates(&self) -> &Gates;
    fn counts(&self) -> [u64; 2];
}

/// How a round ends.
#[derive(Debug)]
pub struct Gates {
    /// The auditor has joined.
    pub joined: Gate,
    /// Everybody finishes what is begun and leaves.
    pub stop: Gate,
    /// All workers have left.
    pub audit: Gate,
}

// SAFETY: gates only.
unsafe impl Zeroed for Gates {}

impl Gates {
    /// In the auditor, once it has joined: sleeps until all others have left.
    pub fn until_audit(&self) {
        self.joined.open();
        assert!(self.audit.wait_for(Duration::from_secs(36_000)));
    }
}

/// Who takes part, and who of them is killed.
#[derive(Clone, Copy, Debug)]
pub struct Cell<B> {
    pub name: &'static str,
    /// Creates the queue, waits for the stop, drains what is left, checks.
    pub auditor: Body<B>,
    pub victims: Body<B>,
    pub others: Body<B>,
    /// The longest time between two kills, in microseconds.
    pub pause: u64,
    /// The first process of each object is the one that is killed.
    pub creation: bool,
    /// Whether this is the instant to kill the process of that id; at random when never.
    pub aim: fn(&B, u32) -> bool,
}

/// How long to wait for the instant to kill at.
const AIMING: Duration = Duration::from_millis(20);

const PROCESSES_OF_EACH: usize = 2;

/// The seats of the victims, then those of the others.
const SEATS: [usize; 2 * PROCESSES_OF_EACH] = [0, 1, 2, 3];

/// Nobody waits longer than this for the dead, in microseconds.
pub const PROMISE: u64 = 100_000;

/// How long the slowest of all survivors stood still: after kills, and when nobody was killed.
#[derive(Debug, Default)]
struct Waits {
    kills: Times,
    shams: Times,
    /// The waits from the death, without the machine's own lateness.
    unexplained: Times,
}

impl Waits {
    fn after_kill(&mut self, answer: Answer) {
        self.kills.push(answer.waited);
        self.unexplained.push(answer.unexplained);
    }

    /// Prints the times; a wait beyond the promise must be one that the machine or the shams explain.
    fn settle(&self, name: &str) {
        let what = "all have gone on";
        println!("  {name}: {what} after a kill: {}", self.kills);
        println!("  {name}: {what} without one: {}", self.shams);
        let over = self.kills.over(PROMISE);
        let late = "from the death, less what the machine was late:";
        println!(
            "  {name}: {over} longer than 100 ms; {late} {}",
            self.unexplained
        );
        let limit = PROMISE + 2 * self.shams.longest();
        let broken = self.unexplained.over(limit);
        assert_eq!(broken, 0, "{name}: somebody waited for the dead");
    }
}

/// Kills until the number asked for is reached, and prints how long the survivors stood still.
pub fn run<B: Books>(cell: &Cell<B>) {
    let (wanted, mut done) = (size("MULTIPROC_KILLS", 100), 0);
    let (mut waits, mut counts) = (Waits::default(), [0; 2]);
    let mut random = Random::new(cell.name.len() as u64);
    let books = Board::<B>::new();
    let witnesses = Witnesses::new();
    while done < wanted {
        let folder = Folder::enter();
        books.clear();
        witnesses.clear();
        let kills = if cell.creation {
            1
        } else {
            KILLS_PER_ROUND.min(wanted - done)
        };
        let round = Round {
            cell,
            books: &books,
            witnesses: &witnesses,
        };
        match cell.creation {
            true => round.first_one_dies(&mut random, &mut waits),
            false => round.run(kills, &mut random, &mut waits),
        }
        let more = books.counts();
        counts = [counts[0] + more[0], counts[1] + more[1]];
        done += kills;
        assert!(
            folder.entries().is_empty(),
            "left behind: {:?}",
            folder.entries()
        );
    }
    let [first, second] = B::COUNTED;
    println!(
        "  {}: {done} kills, {} {first}, {} {second}",
        cell.name, counts[0], counts[1]
    );
    waits.settle(cell.name);
}

/// The processes of one object, from its making to its end.
#[derive(Debug)]
struct Round<'a, B: Books> {
    cell: &'a Cell<B>,
    books: &'a Board<B>,
    witnesses: &'a Witnesses,
}

impl<B: Books> Round<'_, B> {
    fn start(&self, body: Body<B>) -> Child {
        Child::fork(|| {
            body(self.books);
            0
        })
    }

    /// Starts a process that answers after each kill.
    fn seat(&self, seat: usize, body: Body<B>) -> Child {
        self.witnesses.expect(seat);
        Child::fork(|| {
            witness::arrive(seat);
            body(self.books);
            0
        })
    }

    fn ask(&self, signalled: u64, what: &str) -> Answer {
        let answer = self.witnesses.ask(signalled, HANG);
        answer.unwrap_or_else(|| panic!("{}: somebody stands still {what}", self.cell.name))
    }

    /// Passes some time; returns, in general, when it is a good instant to kill `victim`.
    fn aim(&self, victim: &Child, random: &mut Random) -> u64 {
        // Time it is: the instants of the kills are to be random.
        std::thread::sleep(Duration::from_micros(random.below(self.cell.pause)));
        let pid = victim.pid() as u32;
        eventually(AIMING, || (self.cell.aim)(self.books, pid));
        now()
    }

    fn run(&self, kills: u64, random: &mut Random, waits: &mut Waits) {
        let cell = self.cell;
        let auditor = self.start(cell.auditor);
        let (first, second) = SEATS.split_at(PROCESSES_OF_EACH);
        let start = |seats: &[usize], body| -> Vec<Child> {
            seats.iter().map(|&seat| self.seat(seat, body)).collect()
        };
        let mut victims = start(first, cell.victims);
        let others = start(second, cell.others);
        self.ask(now(), "from the start");
        for kill in 0..kills {
            let seat = kill as usize % PROCESSES_OF_EACH;
            let victim = &mut victims[seat];
            let sham = self.ask(self.aim(victim, random), "without a kill");
            waits.shams.push(sham.waited);
            let signalled = self.aim(victim, random);
            let end = victim.kill();
            assert!(end.killed(), "{}: a victim ended: {end:?}", cell.name);
            self.witnesses.bury(seat);
            waits.after_kill(self.ask(signalled, &format!("after kill {kill}")));
            *victim = self.seat(seat, cell.victims);
        }
        self.finish(victims.into_iter().chain(others), auditor);
    }

    /// The first process of an object dies at a random instant, often while it makes it; the others come meanwhile.
    fn first_one_dies(&self, random: &mut Random, waits: &mut Waits) {
        let cell = self.cell;
        let mut victim = self.start(cell.victims);
        // Time it is: the instants of the kills are to be random.
        std::thread::sleep(Duration::from_micros(random.below(cell.pause)));
        let early = random.below(2) == 0;
        let mut workers: Vec<Child> = Vec::new();
        if early {
            workers.push(self.seat(0, cell.others));
        }
        let signalled = now();
        let end = victim.kill();
        assert!(end.killed(), "{}: the victim ended: {end:?}", cell.name);
        if !early {
            workers.push(self.seat(0, cell.others));
        }
        workers.push(self.seat(1, cell.victims));
        let auditor = self.start(cell.auditor);
        waits.after_kill(self.ask(signalled, "after the kill"));
        self.finish(workers.into_iter(), auditor);
    }

    /// Everybody stops, and when all have left the auditor looks at what is there.
    fn finish(&self, workers: impl Iterator<Item = Child>, mut auditor: Child) {
        let (name, gates) = (self.cell.name, self.books.gates());
        // Who joins only after the last one has left finds another object.
        assert!(gates.joined.wait(), "{name}: the auditor never came");
        gates.stop.open();
        for mut child in workers {
            let end = child.wait(HANG);
            assert_eq!(end, End::Exited(0), "{name}: after the stop");
        }
        gates.audit.open();
        assert_eq!(auditor.wait(HANG), End::Exited(0), "{name}: the auditor");
    }
}
