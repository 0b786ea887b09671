//! The examples print what the Python programs print that they are after; where processes race, in any order.

use std::process::{Command, Stdio};

/// What an example prints, sorted by line.
fn printed(example: &str) -> Vec<String> {
    printed_with(example, &[])
}

/// The same with these arguments.
fn printed_with(example: &str, arguments: &[&str]) -> Vec<String> {
    let test = std::env::current_exe().expect("this program");
    let target = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target");
    let program = target.join("examples").join(example);
    let output = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo test` builds it", program.display()));
    assert!(output.status.success(), "{example}: {}", output.status);
    assert!(output.stderr.is_empty(), "{example} complains");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

macro_rules! examples {
    ($($example:ident: [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $example() {
            let mut expected = vec![$($line),*];
            expected.sort_unstable();
            assert_eq!(printed(stringify!($example)), expected);
        }
    )*};
}

examples! {
    process: ["Hello from a subprocess!"];
    pool: ["[1, 4, 9, 16, 25]"];
    queue: ["Worker received: Hello from the main process!"];
    lock: ["Final value: 5"];
    manager: ["Updated shared list: [0, 1, 4, 9, 16]"];
    pipe: ["Receiver received: Hello from the sender!"];
    service: [
        "[\"Ada begins\", \"Ada ends\"]",
        "[\"Ben begins\", \"Ben ends\"]",
        "The next line has number 5.",
        "the object is served no more",
    ];
    event: [
        "Waiting for event to be set.",
        "Sleeping for 3 seconds before setting the event.",
        "Event has been set.",
        "Event has been set. Continuing.",
    ];
    condition: [
        "Worker waiting for a condition.",
        "Notifier notifying the condition.",
        "Worker woke up!",
        "Main process notifying the condition.",
    ];
}

/// How many wait when a worker looks is a race, here as there; who passed as which is none.
#[test]
fn barrier() {
    let (waiting, passed): (Vec<_>, Vec<_>) = printed("barrier")
        .into_iter()
        .partition(|line| line.ends_with(" is waiting at the barrier."));
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|line| line.starts_with("Worker ")));
    let expected = [
        "Main process has completed.",
        "Worker 1 has passed the barrier.",
        "Worker 2 has passed the barrier.",
        "Worker 3 has passed the barrier.",
    ];
    assert_eq!(passed, expected);
}

/// How many workers there are is the machine's affair.
#[test]
fn primes() {
    let [line] = &printed("primes")[..] else {
        panic!("one line is expected");
    };
    assert!(line.starts_with("78498 primes below 1000000, by "));
}

#[test]
fn progress() {
    let lines = printed_with("progress", &["60"]);
    assert_eq!(
        lines,
        ["60 tasks, of which 4 took too long; the longest chain has 339 steps"]
    );
}

/// Both strategies trade on the same ticks each time; how old these were is the machine's affair.
#[test]
fn tick_pipeline() {
    let lines = printed_with("tick_pipeline", &["2000", "1000000"]);
    let begin = [
        "order to record  p50 ",
        "orders           fast 861, slow 521",
        "tick to order    p50 ",
    ];
    assert_eq!(lines.len(), begin.len());
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{line}");
    }
}

/// Which worker computes what is a race; what is asked, and so what is in the cache at last, is none.
#[test]
fn sharded_cache() {
    let lines = printed_with("sharded_cache", &["3", "20000"]);
    let (workers, others): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.starts_with("worker "));
    assert_eq!(others.len(), 2, "{lines:?}");
    let all = "3 workers, 20000 requests each, 397 different ones";
    let again = " computed more than once, all of it in ";
    assert!(others.iter().any(|line| *line == all), "{lines:?}");
    assert!(others.iter().any(|line| line.contains(again)), "{lines:?}");
    for (worker, line) in workers.into_iter().enumerate() {
        let rest = line.strip_prefix(&format!("worker {worker}: "));
        let found = rest.and_then(|rest| rest.split_once(" % found, "));
        let found: f64 = found.expect(line).0.parse().expect(line);
        assert!(found >= 98.0, "{line}: at most 397 are computed");
    }
}
