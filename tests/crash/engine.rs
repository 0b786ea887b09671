//! The driver: for every step of an operation, and every step of its recovery, one small world of processes.
//!
//! A world has a folder of its own and three processes, none of which shares a descriptor with another:
//!
//! * the *keeper* makes the object, brings it into the state before the operation, and in the end goes on with it;
//! * the *actor* attaches, performs the operation and is killed just before its step `n`, or right after the last;
//! * the *recoverer*, in the pairs, attaches and uses the object, and is killed just before its step `m`.
//!
//! The driver itself never touches the library, so its forked children inherit no membership.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common::board::{Board, Gate, Zeroed, eventually};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::runner::{fail_fast, say};
use crate::ledger::Ledger;

/// How long anything healthy may take here; whatever takes longer is wedged.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// An operation under test: three bodies, each run in a process of its own.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Makes the object, calls [`Stage::stand_by`], then checks every invariant by panicking where one is broken.
    pub keeper: fn(&Stage),
    /// Attaches, calls [`Stage::armed`], performs the operation.
    pub actor: fn(&Stage),
    /// Calls [`Stage::armed`], attaches and uses the object.
    pub recoverer: fn(&Stage),
}

/// Scenarios, one a line: a name, and who keeps, acts and recovers.
macro_rules! scenarios {
    ($($name:literal: $keeper:ident $actor:ident $recoverer:ident;)*) => {
        &[$(Scenario { name: $name, keeper: $keeper, actor: $actor, recoverer: $recoverer },)*]
    };
}

pub(crate) use scenarios;

/// What the processes of a world see in common.
#[derive(Debug)]
pub struct Shared {
    ready: Gate,
    go_on: Gate,
    completed: Gate,
    at_it: Gate,
    prepared: Gate,
    mending: Gate,
    /// Bytes that the file system held when the keeper measured, and what it holds at most in an undisturbed world.
    measured: AtomicU64,
    limit: AtomicU64,
    /// Who was here: the actor, and the recoverer.
    pids: [AtomicU32; 2],
    ledger: Ledger,
}

// SAFETY: gates and the ledger are made of atomics.
unsafe impl Zeroed for Shared {}

/// The view that a body has of its world.
#[derive(Debug)]
pub struct Stage<'a> {
    shared: &'a Shared,
    folder: &'a Folder,
    crash_at: Option<u64>,
}

impl Stage<'_> {
    /// From here on, every step counts; the process ends just before the one it was given.
    pub fn armed(&self) {
        if let Some(n) = self.crash_at {
            multiproc::crash_steps::arm(n);
        }
    }

    /// The keeper has prepared the object; returns when actor and recoverer are dead.
    pub fn stand_by(&self) {
        self.ready();
        self.until_dead();
    }

    /// The keeper has prepared the object: the actor may come.
    pub fn ready(&self) {
        self.shared.ready.open();
    }

    /// Waits until actor and recoverer are dead.
    pub fn until_dead(&self) {
        assert!(self.shared.go_on.wait(), "the driver never said go on");
    }

    /// The actor is about to do, or has done, what the keeper waits for.
    pub fn at_it(&self) {
        self.shared.at_it.open();
    }

    /// Waits until the actor is at it, or dead.
    pub fn until_at_it(&self) {
        let shared = self.shared;
        assert!(eventually(PATIENCE, || shared.at_it.is_open()
            || shared.go_on.is_open()));
    }

    /// Whether there is an actor, and it is at it.
    pub fn is_at_it(&self) -> bool {
        self.shared.at_it.is_open()
    }

    /// The object is there for a process that the keeper has forked before it joined.
    pub fn prepared(&self) {
        self.shared.prepared.open();
    }

    /// Waits for the object.
    pub fn until_prepared(&self) {
        assert!(self.shared.prepared.wait(), "the object was never made");
    }

    /// Whether the scenario stored what [`mending`](Stage::mending) notes.
    pub fn may_be_mended(&self) -> bool {
        self.shared.mending.is_open()
    }

    /// From here on the data may be good again.
    pub fn mending(&self) {
        self.shared.mending.open();
    }

    /// Whether the actor's operation returned before the actor died.
    pub fn completed(&self) -> bool {
        self.shared.completed.is_open()
    }

    /// The actor, or the recoverer, says that it is this process.
    pub fn here(&self) {
        let pid = std::process::id();
        let free = |slot: &&AtomicU32| slot.compare_exchange(0, pid, SeqCst, SeqCst).is_ok();
        assert!(self.shared.pids.iter().any(|slot| free(&slot)));
    }

    /// Whether this process has said so.
    pub fn was_here(&self, pid: u32) -> bool {
        self.shared.pids.iter().any(|slot| slot.load(SeqCst) == pid)
    }

    /// Compares the memory in use with that of a world in which nobody died.
    pub fn measure(&self) {
        self.compare(self.folder.allocated());
    }

    /// The same of the memory of objects without a name that this process has open.
    pub fn measure_anonymous(&self) {
        let open = std::fs::read_dir("/proc/self/fd")
            .expect("procfs")
            .flatten();
        let ours = open.map(|entry| entry.path()).filter(|path| {
            let target = std::fs::read_link(path).unwrap_or_default();
            target.to_string_lossy().starts_with("/memfd:multiproc-")
        });
        let blocks = ours.filter_map(|path| Some(path.metadata().ok()?.blocks()));
        self.compare(blocks.sum::<u64>() * 512);
    }

    fn compare(&self, used: u64) {
        self.shared.measured.store(used, SeqCst);
        let limit = self.shared.limit.load(SeqCst);
        assert!(
            limit == 0 || used <= limit,
            "{used} bytes of shared memory in place of {limit}: something leaked"
        );
    }

    /// Files left in the folder.
    pub fn leftovers(&self) -> usize {
        self.folder.entries().len()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }
}

/// Who of a world dies where.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The actor dies before this step, or after its operation.
    pub actor: u64,
    /// There is a recoverer, and it dies before this step, if it gets there.
    pub recoverer: Option<u64>,
}

/// What one world came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    actor_finished: bool,
    recoverer_finished: bool,
}

/// Counts of one scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub steps: u64,
    pub pairs: u64,
    pub failures: u64,
}

/// A promise was broken; what and where has been printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// More than so many broken worlds of one scenario teach nothing new.
fn enough() -> u64 {
    if fail_fast() { 1 } else { 3 }
}

/// The worlds of one worker, one after the other.
#[derive(Debug)]
pub struct Engine {
    shared: Board<Shared>,
    folder: Folder,
    limit: u64,
}

impl Engine {
    pub fn new() -> Engine {
        Engine {
            shared: Board::new(),
            folder: Folder::enter(),
            limit: 0,
        }
    }

    /// Runs one scenario for every step, and of the pairs with each step of the recovery one in `one_in`; none for 0.
    pub fn run(&mut self, scenario: &Scenario, one_in: u64) -> Tally {
        let mut tally = Tally::default();
        if self.undisturbed(scenario).is_err() {
            tally.failures = enough();
        }
        let mut finished = false;
        for actor in 0.. {
            if finished || tally.failures >= enough() {
                break;
            }
            let single = self.world(
                scenario,
                Plan {
                    actor,
                    recoverer: None,
                },
            );
            tally.steps += 1;
            tally.failures += u64::from(single.is_err());
            finished = single.is_ok_and(|o| o.actor_finished);
            if one_in > 0 && single.is_ok() {
                self.recoveries(scenario, actor, one_in, &mut tally);
            }
        }
        tally
    }

    /// The same death of the actor, and the recoverer's at one in so many steps: others for each step of the actor.
    fn recoveries(&mut self, scenario: &Scenario, actor: u64, one_in: u64, tally: &mut Tally) {
        for step in (actor % one_in..).step_by(one_in as usize) {
            let outcome = self.world(
                scenario,
                Plan {
                    actor,
                    recoverer: Some(step),
                },
            );
            tally.pairs += 1;
            tally.failures += u64::from(outcome.is_err());
            if tally.failures >= enough() || outcome.is_ok_and(|o| o.recoverer_finished) {
                return;
            }
        }
    }

    /// The keeper alone: what it must be able to do, and how much memory that takes.
    fn undisturbed(&mut self, scenario: &Scenario) -> Result<(), Broken> {
        self.limit = 0;
        self.begin();
        let mut keeper = self.part(scenario.keeper, None);
        self.prepares(&mut keeper);
        self.shared.go_on.open();
        let end = keeper.wait(PATIENCE);
        self.limit = self.shared.measured.load(SeqCst);
        match end {
            End::Exited(0) => Ok(()),
            end => Err(complain("the keeper, undisturbed,", end, scenario, None)),
        }
    }

    /// Runs one world.
    pub fn world(&mut self, scenario: &Scenario, plan: Plan) -> Result<Outcome, Broken> {
        self.begin();
        let fail = |what, end| Err(complain(what, end, scenario, Some(plan)));
        let mut keeper = self.part(scenario.keeper, None);
        if !self.prepares(&mut keeper) {
            return fail("the keeper, preparing,", keeper.wait(Duration::ZERO));
        }
        let actor = self.actor(scenario, plan.actor).wait(PATIENCE);
        if !actor.killed() {
            return fail("the actor", actor);
        }
        let mut outcome = Outcome {
            actor_finished: self.shared.completed.is_open(),
            recoverer_finished: false,
        };
        if plan.recoverer.is_some() {
            let end = self.part(scenario.recoverer, plan.recoverer).wait(PATIENCE);
            outcome.recoverer_finished = end == End::Exited(0);
            if !outcome.recoverer_finished && !end.killed() {
                return fail("the recoverer", end);
            }
        }
        self.shared.go_on.open();
        match keeper.wait(PATIENCE) {
            End::Exited(0) => Ok(outcome),
            end => fail("the keeper, going on,", end),
        }
    }

    /// Whether the keeper has prepared its object.
    fn prepares(&self, keeper: &mut Child) -> bool {
        let begin = Instant::now();
        while !self.shared.ready.wait_for(Duration::from_millis(20)) {
            if begin.elapsed() > PATIENCE || keeper.poll().is_some() {
                return self.shared.ready.is_open();
            }
        }
        true
    }

    /// An empty folder and a clean board.
    fn begin(&self) {
        for path in self.folder.entries() {
            std::fs::remove_file(path).ok();
        }
        self.shared.clear();
        self.shared.limit.store(self.limit, SeqCst);
    }

    /// The actor dies in any case: at its step, or after its operation with all it then holds.
    fn actor(&self, scenario: &Scenario, step: u64) -> Child {
        Child::fork(|| {
            (scenario.actor)(&Stage {
                shared: &self.shared,
                folder: &self.folder,
                crash_at: Some(step),
            });
            self.shared.completed.open();
            // SAFETY: kill and getpid have no memory preconditions.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            1
        })
    }

    fn part(&self, body: fn(&Stage), crash_at: Option<u64>) -> Child {
        Child::fork(|| {
            body(&Stage {
                shared: &self.shared,
                folder: &self.folder,
                crash_at,
            });
            0
        })
    }
}

fn complain(what: &str, end: End, scenario: &Scenario, plan: Option<Plan>) -> Broken {
    let steps = plan.map_or_else(String::new, |plan| {
        let recovery = plan.recoverer.map_or_else(String::new, |m| format!("/{m}"));
        format!(
            "; run again with MULTIPROC_CASE='{}/{}{recovery}'",
            scenario.name, plan.actor
        )
    });
    say(&format!(
        "crash: {}: {what} ended {end:?}{steps}",
        scenario.name
    ));
    Broken
}
