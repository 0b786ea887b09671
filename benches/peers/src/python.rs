//! CPython's own `multiprocessing.Queue`, driven by the script beside this crate.

use std::process::Command;
use std::sync::OnceLock;

use crate::harness::Shape;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cpython_queue.py");

/// Whether Python can be run; says so once if it cannot.
pub fn is_there() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let run = Command::new("python3")
            .args(["-c", "import multiprocessing"])
            .output();
        let found = run.is_ok_and(|output| output.status.success());
        if !found {
            println!("python3 does not run here: its rows are left out");
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
    let output = Command::new("python3")
        .arg(SCRIPT)
        .args(arguments)
        .output()
        .expect("python3");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| {
        panic!(
            "cpython_queue.py: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
