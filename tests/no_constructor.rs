//! Without the feature `constructor`, a program has to call `init`: forgetting it is an error and no fork bomb.
//!
//! Run with `cargo test -p multiproc --no-default-features --test no_constructor`; with the feature there is nothing to see.

use multiproc::{ErrorKind, Process};

fn answer(n: u64) -> u64 {
    n + 1
}

fn main() {
    if cfg!(feature = "constructor") {
        println!("skipped: the feature `constructor` is on");
        return;
    }
    // A child of this program comes by here as well: it must not start another one.
    let error = Process::spawn(answer, (41,)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInitialised);
    assert!(error.to_string().contains("multiproc::init()"), "{error}");

    multiproc::init();
    let process = Process::spawn(answer, (41,)).unwrap();
    assert_eq!(process.join().unwrap(), 42);
    // Before `init` the child had gone through the error above, and after it nothing.
    println!("ok: init() runs children");
}
