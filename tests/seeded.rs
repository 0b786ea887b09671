//! The tests are tested: every deliberate fault in the library must make a suite fail.
//!
//! The library holds them behind `seeded("name")`, absent from every ordinary build. This builds it once with
//! `--cfg seeded_bugs` (and once more for the model checker), runs the suites with each fault switched on, and
//! expects a failure; with none switched on they must pass. The parts of the suites that are about the noun in a fault's
//! name come first. Building takes minutes of processor time, so this runs only where `MULTIPROC_SEEDED=1`, or the name
//! of one fault.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A suite that may catch a fault, from the quickest to the slowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    /// A crash at every step, without the pairs.
    Crash,
    /// Random kills, in small numbers.
    Kill,
    /// The models, explored with two preemptions.
    Models,
}

const SUITES: [Suite; 3] = [Suite::Crash, Suite::Kill, Suite::Models];

/// Faults that take a rare interleaving to show, or a slice to hide: the models are quicker for all their length.
const RARE: &[&str] = &[
    "missing-release",
    "missing-barrier",
    "lost-wakeup",
    "lost-ring",
    "calm",
    "doubt",
    "forgets",
    "eats",
    "arm-after-look",
    "unseen-reader",
    "frees-twice",
];

/// The suites in the order in which to try them.
fn suites_for(fault: &str) -> [Suite; 3] {
    match RARE.iter().any(|word| fault.contains(word)) {
        true => [Suite::Models, Suite::Crash, Suite::Kill],
        false => SUITES,
    }
}

/// The part of each suite that is about the noun by which a fault's name begins: scenarios, cells and models.
type Part = [&'static str; 3];

const EVERYTHING: Part = ["", "", "loom_"];
/// What must pass without a fault; most models do in a stage of their own, which takes minutes.
const WITHOUT_FAULTS: Part = ["", "", "loom_event"];
const PARTS: &[(&str, Part)] = &[
    ("annex-", ["annex", "annex", "loom_heap"]),
    ("barrier-", ["barrier", "barrier", "loom_barrier"]),
    ("bias-", ["dict", "manager", "loom_bias"]),
    ("condition-", ["condition", "condition", "loom_waiters"]),
    ("dict-", ["dict", "dict", "loom_heap"]),
    ("event-", ["event", "event", "loom_event"]),
    ("heap-", ["cell", "manager", "loom_heap"]),
    ("latch-", ["latch", "latch", "loom_latch"]),
    ("lease-", ["queue", "lessees", "loom_ring"]),
    ("list-", ["list:", "list", "loom_heap"]),
    ("lock-", ["lock", "lock", "loom_lock"]),
    ("once-", ["once", "once", "loom_once"]),
    ("permits-", ["semaphore", "bounded", "loom_bounded"]),
    ("pipe-", ["pipe", "pipe", "ring::spsc"]),
    ("pool-", ["queue", "pool", "loom_ring"]),
    ("queue-", ["queue", "queue", "loom_ring"]),
    ("rwlock-", ["rwlock", "rwlock", "loom_rwlock"]),
    ("service-", ["service", "service", "loom_heap"]),
    ("sweep-", ["spilled queue", "queue", "loom_ring"]),
    ("watch-", ["watch", "queue", "loom_ring_a_watcher"]),
    ("transaction-", ["transaction", "transaction", "loom_heap"]),
    ("semaphore-", ["semaphore", "semaphore", "loom_semaphore"]),
];

/// Where a fault is most likely to be caught.
fn part_for(fault: &str) -> Part {
    let found = PARTS.iter().find(|(noun, _)| fault.starts_with(noun));
    found.map_or(EVERYTHING, |(_, part)| *part)
}

impl Suite {
    fn run(self, fault: Option<&str>, [scenarios, cells, models]: Part) -> bool {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .arg("test")
            .arg("--target-dir");
        match self {
            Suite::Crash => command.arg(target("seeded")).args(["--test", "crash"]),
            Suite::Kill => command
                .arg(target("seeded"))
                .args(["--test", "kill", cells]),
            Suite::Models => {
                command
                    .arg(target("seeded-loom"))
                    .args(["--lib", "--release", models])
            }
        };
        let flags = if self == Suite::Models {
            "--cfg loom --cfg seeded_bugs"
        } else {
            "--cfg seeded_bugs"
        };
        command
            .env("RUSTFLAGS", flags)
            .env("MULTIPROC_CRASH_PAIRS", "0")
            .env("MULTIPROC_SCENARIOS", scenarios)
            .env("MULTIPROC_FAIL_FAST", "1")
            .env("MULTIPROC_KILLS", "20");
        command
            .env("LOOM_MAX_PREEMPTIONS", "2")
            .env_remove("MULTIPROC_SEEDED")
            .env_remove("MULTIPROC_SEEDED_BUG");
        if let Some(fault) = fault {
            command.env("MULTIPROC_SEEDED_BUG", fault);
        }
        let output = command.stdin(Stdio::null()).output().expect("cargo runs");
        if fault.is_none() && !output.status.success() {
            println!("{}", String::from_utf8_lossy(&output.stdout));
            println!("{}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    }
}

/// A folder beside the ordinary build's, so that neither build throws the other away.
fn target(name: &str) -> PathBuf {
    let base = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    base.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"))
        .join(name)
}

/// Every fault that the source holds.
fn faults() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("source text");
                let names = text
                    .split("seeded(\"")
                    .skip(1)
                    .filter_map(|t| t.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn every_seeded_bug_is_caught() {
    let faults = faults();
    assert!(
        faults.len() >= 6,
        "only {} seeded bugs: {faults:?}",
        faults.len()
    );
    if std::env::var_os("MULTIPROC_SEEDED").is_none() {
        println!(
            "skipped: MULTIPROC_SEEDED=1 builds the library twice more and runs it with each of {faults:?}"
        );
        return;
    }
    let chosen = std::env::var("MULTIPROC_SEEDED").unwrap_or_default();
    let faults: BTreeSet<String> = match faults.contains(&chosen) {
        true => BTreeSet::from([chosen]),
        false => faults,
    };
    for suite in SUITES {
        assert!(
            suite.run(None, WITHOUT_FAULTS),
            "{suite:?} fails with no fault switched on"
        );
    }
    let missed: Vec<_> = faults.iter().filter(|fault| !is_caught(fault)).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    println!("seeded bugs caught: {} of {}", faults.len(), faults.len());
}

fn is_caught(fault: &str) -> bool {
    let begin = Instant::now();
    let caught = |part: Part| {
        suites_for(fault)
            .into_iter()
            .find(|suite| !suite.run(Some(fault), part))
    };
    let by = caught(part_for(fault)).or_else(|| caught(EVERYTHING));
    match by {
        Some(suite) => println!(
            "{fault}: caught by {suite:?} ({:.1}s)",
            begin.elapsed().as_secs_f64()
        ),
        None => println!("{fault}: MISSED ({:.1}s)", begin.elapsed().as_secs_f64()),
    }
    by.is_some()
}
