//! CPython's own `multiprocessing`, driven by the scripts beside this crate.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::harness::{Percentiles, Shape};

/// The name of its pipe in the tables.
pub const PIPE: &str = "CPython Pipe";
/// The name of its pool in the tables.
pub const POOL: &str = "CPython Pool";
/// The name of its dictionary in the tables.
pub const DICT: &str = "CPython Manager";

const QUEUE_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cpython_queue.py");
const PIPE_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cpython_pipe.py");
const DICT_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cpython_dict.py");
const POOL_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cpython_pool.py");

/// Whether Python can be run; says so once if it cannot.
pub fn is_there() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let run = Command::new("python3")
            .args(["-c", "import multiprocessing"])
            .output();
        let found = run.is_ok_and(|output| output.status.success());
        if !found {
            eprintln!("python3 does not run here: its rows are left out");
        }
        found
    })
}

/// Messages of `bytes` bytes per second through one `multiprocessing.Queue`.
///
/// # Panics
///
/// When the script fails.
pub fn queue(bytes: usize, shape: Shape) -> f64 {
    let arguments = [bytes, shape.producers, shape.consumers].map(|number| number.to_string());
    let [rate] = run(QUEUE_SCRIPT, &arguments);
    rate
}

/// Messages of `bytes` bytes per second through one `multiprocessing.Pipe`, by `send_bytes` and `recv_bytes`.
///
/// # Panics
///
/// When the script fails.
pub fn pipe_stream(bytes: usize) -> f64 {
    let messages = (64 << 20) / bytes;
    let numbers = [bytes as u64, messages.clamp(200, 10_000) as u64];
    rate(PIPE_SCRIPT, "stream", &numbers)
}

/// A round trip of `bytes` bytes by the same, the other side having slept for `gap`.
///
/// # Panics
///
/// When the script fails.
pub fn pipe_trip(bytes: usize, gap: Duration) -> Percentiles {
    trip(PIPE_SCRIPT, "trip", &[bytes as u128, 200, gap.as_nanos()])
}

/// Squares per second of `tasks`, by `multiprocessing.Pool.map` with two workers, `chunk` of them in a message.
///
/// # Panics
///
/// When the script fails.
pub fn pool_map(tasks: u64, chunk: Option<u64>) -> f64 {
    rate(POOL_SCRIPT, "map", &[tasks, chunk.unwrap_or(0)])
}

/// A round trip of one task by `Pool.apply`, the workers having slept for `gap`.
///
/// # Panics
///
/// When the script fails.
pub fn pool_apply(gap: Duration) -> Percentiles {
    trip(POOL_SCRIPT, "apply", &[500, gap.as_nanos()])
}

/// Arguments of `bytes` bytes per second, by `Pool.map` of eight at a time.
///
/// # Panics
///
/// When the script fails.
pub fn pool_sums(bytes: u64, tasks: u64) -> f64 {
    rate(POOL_SCRIPT, "sums", &[bytes, tasks])
}

/// What all of `workers` processes do with a `Manager().dict()`, per second; `what` is `get` or `set`.
///
/// # Panics
///
/// When the script fails.
pub fn dict(what: &str, workers: u64) -> f64 {
    rate(DICT_SCRIPT, what, &[workers, 2_000])
}

fn rate(script: &str, what: &str, numbers: &[u64]) -> f64 {
    let [rate] = run(script, &words(what, numbers));
    rate
}

fn trip(script: &str, what: &str, numbers: &[u128]) -> Percentiles {
    let [p50, p99] = run(script, &words(what, numbers));
    Percentiles {
        p50,
        p99,
        ..Percentiles::default()
    }
}

fn words(what: &str, numbers: &[impl ToString]) -> Vec<String> {
    let numbers = numbers.iter().map(ToString::to_string);
    std::iter::once(what.to_owned()).chain(numbers).collect()
}

/// The numbers that a script prints.
fn run<const N: usize>(script: &str, arguments: &[String]) -> [f64; N] {
    let mut command = Command::new("python3");
    let output = command
        .arg(script)
        .args(arguments)
        .output()
        .expect("python3");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.unwrap_or_else(|| panic!("{script}: {}", String::from_utf8_lossy(&output.stderr)))
}
