//! One cell of the table: a role is killed again and again at random instants, and the others must go on.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::common::board::{Board, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::{Random, Times, size};
use crate::ledger::Ledger;

/// A survivor that makes no progress for so long is wedged.
pub const HANG: Duration = Duration::from_secs(10);

/// Kills before the books are closed and checked, and new ones opened.
const KILLS_PER_ROUND: u64 = 25;

/// The body of a process; it runs until the ledger says stop.
pub type Body = fn(&Ledger);

/// Who takes part, and who of them is killed.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub name: &'static str,
    /// Creates the queue, waits for the stop, drains what is left, checks.
    pub auditor: Body,
    pub victims: Body,
    pub others: Body,
    /// The longest time between two kills, in microseconds.
    pub pause: u64,
    /// The first process of each object is the one that is killed.
    pub creation: bool,
    /// What must grow after a kill.
    pub progress: fn(&Ledger) -> u64,
}

const PROCESSES_OF_EACH: usize = 2;

/// Kills until the number asked for is reached, and prints how long the survivors stood still.
pub fn run(cell: &Cell) {
    let (wanted, mut done) = (size("MULTIPROC_KILLS", 100), 0);
    let (mut times, mut redelivered, mut gets) = (Times::default(), 0, 0);
    let mut random = Random::new(cell.name.len() as u64);
    let ledger = Board::<Ledger>::new();
    while done < wanted {
        let folder = Folder::enter();
        ledger.clear();
        let kills = if cell.creation {
            1
        } else {
            KILLS_PER_ROUND.min(wanted - done)
        };
        match cell.creation {
            true => first_one_dies(cell, &ledger, &mut random, &mut times),
            false => round(cell, &ledger, kills, &mut random, &mut times),
        }
        redelivered += ledger.redelivered.load(SeqCst);
        gets += ledger.gets.load(SeqCst);
        done += kills;
        assert!(
            folder.entries().is_empty(),
            "left behind: {:?}",
            folder.entries()
        );
    }
    println!(
        "  {}: {done} kills, {gets} messages, {redelivered} redelivered; kill to progress {times}",
        cell.name
    );
    if times.over(100_000) > 0 {
        println!(
            "  {}: {} times longer than 100 ms",
            cell.name,
            times.over(100_000)
        );
    }
}

fn round(cell: &Cell, ledger: &Board<Ledger>, kills: u64, random: &mut Random, times: &mut Times) {
    let start = |body: Body| Child::fork(|| run_body(body, ledger));
    let mut auditor = start(cell.auditor);
    let mut victims: Vec<Child> = (0..PROCESSES_OF_EACH)
        .map(|_| start(cell.victims))
        .collect();
    let mut others: Vec<Child> = (0..PROCESSES_OF_EACH).map(|_| start(cell.others)).collect();
    let moves = |from: u64| eventually(HANG, || (cell.progress)(ledger) > from);
    assert!(moves(0), "{}: nothing ever moved", cell.name);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_micros(random.below(cell.pause)));
        let victim = &mut victims[kill as usize % PROCESSES_OF_EACH];
        let end = victim.kill();
        assert!(
            end.killed(),
            "{}: a victim had ended before: {end:?}",
            cell.name
        );
        let (before, begin) = ((cell.progress)(ledger), Instant::now());
        assert!(
            moves(before),
            "{}: the survivors stand still after kill {kill}",
            cell.name
        );
        times.push(begin.elapsed().as_micros() as u64);
        *victim = start(cell.victims);
    }
    finish(cell, ledger, victims.into_iter().chain(others), auditor);
}

/// Everybody stops, and when all have left the auditor looks at what is there.
fn finish(cell: &Cell, ledger: &Ledger, workers: impl Iterator<Item = Child>, mut auditor: Child) {
    // Who joins only after the last one has left finds another object.
    assert!(
        ledger.joined.wait(),
        "{}: the auditor never came",
        cell.name
    );
    ledger.stop.store(1, SeqCst);
    for mut child in workers {
        assert_eq!(
            child.wait(HANG),
            End::Exited(0),
            "{}: after the stop",
            cell.name
        );
    }
    ledger.audit.open();
    assert_eq!(
        auditor.wait(HANG),
        End::Exited(0),
        "{}: the auditor",
        cell.name
    );
}

/// The first process of an object dies at a random instant, often while it makes it; the others come meanwhile.
fn first_one_dies(cell: &Cell, ledger: &Board<Ledger>, random: &mut Random, times: &mut Times) {
    let start = |body: Body| Child::fork(|| run_body(body, ledger));
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
    let before = (cell.progress)(ledger);
    assert!(
        eventually(HANG, || (cell.progress)(ledger) > before),
        "{}: nothing moves",
        cell.name
    );
    times.push(begin.elapsed().as_micros() as u64);
    finish(cell, ledger, workers.into_iter(), auditor);
}

fn run_body(body: Body, ledger: &Ledger) -> i32 {
    body(ledger);
    0
}
