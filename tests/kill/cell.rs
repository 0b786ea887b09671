//! One cell of the table: a role is killed again and again at random instants, and the others must go on.

use std::time::{Duration, Instant};

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::{Random, Times, size};

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
    /// What must grow after a kill.
    pub progress: fn(&B) -> u64,
    /// Whether this is the instant to kill the process of that id; at random when never.
    pub aim: fn(&B, u32) -> bool,
}

/// How long to wait for the instant to kill at.
const AIMING: Duration = Duration::from_millis(20);

const PROCESSES_OF_EACH: usize = 2;

/// Kills until the number asked for is reached, and prints how long the survivors stood still.
pub fn run<B: Books>(cell: &Cell<B>) {
    let (wanted, mut done) = (size("MULTIPROC_KILLS", 100), 0);
    let (mut times, mut counts) = (Times::default(), [0; 2]);
    let mut random = Random::new(cell.name.len() as u64);
    let books = Board::<B>::new();
    while done < wanted {
        let folder = Folder::enter();
        books.clear();
        let kills = if cell.creation {
            1
        } else {
            KILLS_PER_ROUND.min(wanted - done)
        };
        match cell.creation {
            true => first_one_dies(cell, &books, &mut random, &mut times),
            false => round(cell, &books, kills, &mut random, &mut times),
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
        "  {}: {done} kills, {} {first}, {} {second}; kill to progress {times}",
        cell.name, counts[0], counts[1]
    );
    if times.over(100_000) > 0 {
        println!(
            "  {}: {} times longer than 100 ms",
            cell.name,
            times.over(100_000)
        );
    }
}

fn round<B: Books>(
    cell: &Cell<B>,
    books: &Board<B>,
    kills: u64,
    random: &mut Random,
    times: &mut Times,
) {
    let start = |body: Body<B>| Child::fork(|| run_body(body, books));
    let auditor = start(cell.auditor);
    let mut victims: Vec<Child> = (0..PROCESSES_OF_EACH)
        .map(|_| start(cell.victims))
        .collect();
    let others: Vec<Child> = (0..PROCESSES_OF_EACH).map(|_| start(cell.others)).collect();
    let moves = |from: u64| eventually(HANG, || (cell.progress)(books) > from);
    assert!(moves(0), "{}: nothing ever moved", cell.name);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_micros(random.below(cell.pause)));
        let victim = &mut victims[kill as usize % PROCESSES_OF_EACH];
        eventually(AIMING, || (cell.aim)(books, victim.pid() as u32));
        let end = victim.kill();
        assert!(
            end.killed(),
            "{}: a victim had ended before: {end:?}",
            cell.name
        );
        let (before, begin) = ((cell.progress)(books), Instant::now());
        assert!(
            moves(before),
            "{}: the survivors stand still after kill {kill}",
            cell.name
        );
        times.push(begin.elapsed().as_micros() as u64);
        *victim = start(cell.victims);
    }
    finish(cell, books, victims.into_iter().chain(others), auditor);
}

/// Everybody stops, and when all have left the auditor looks at what is there.
fn finish<B: Books>(
    cell: &Cell<B>,
    books: &B,
    workers: impl Iterator<Item = Child>,
    mut auditor: Child,
) {
    // Who joins only after the last one has left finds another object.
    assert!(
        books.gates().joined.wait(),
        "{}: the auditor never came",
        cell.name
    );
    books.gates().stop.open();
    for mut child in workers {
        assert_eq!(
            child.wait(HANG),
            End::Exited(0),
            "{}: after the stop",
            cell.name
        );
    }
    books.gates().audit.open();
    assert_eq!(
        auditor.wait(HANG),
        End::Exited(0),
        "{}: the auditor",
        cell.name
    );
}

/// The first process of an object dies at a random instant, often while it makes it; the others come meanwhile.
fn first_one_dies<B: Books>(
    cell: &Cell<B>,
    books: &Board<B>,
    random: &mut Random,
    times: &mut Times,
) {
    let start = |body: Body<B>| Child::fork(|| run_body(body, books));
    let mut victim = start(cell.victims);
    std::thread::sleep(Duration::from_micros(random.below(cell.pause)));
    let early = random.below(2) == 0;
    let auditor = early.then(|| start(cell.auditor));
    assert!(
        victim.kill().killed(),
        "{}: the victim had ended before",
        cell.name
    );
    let begin = Instant::now();
    let workers = [start(cell.others), start(cell.victims)];
    let auditor = auditor.unwrap_or_else(|| start(cell.auditor));
    let before = (cell.progress)(books);
    assert!(
        eventually(HANG, || (cell.progress)(books) > before),
        "{}: nothing moves",
        cell.name
    );
    times.push(begin.elapsed().as_micros() as u64);
    finish(cell, books, workers.into_iter(), auditor);
}

fn run_body<B: Books>(body: Body<B>, books: &B) -> i32 {
    body(books);
    0
}
