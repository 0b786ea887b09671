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

    if std::env::var_os("LEAVE_EARLY").is_some() {
        std::process::exit(7);
    }

    multiproc::init();
    let process = Process::spawn(answer, (41,)).unwrap();
    assert_eq!(process.join().unwrap(), 42);

    // A child whose `main` goes another way before that line says so.
    let process = Process::builder()
        .env("LEAVE_EARLY", "1")
        .spawn(answer, (41,))
        .unwrap();
    let error = process.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exited);
    assert!(
        error
            .to_string()
            .contains("code 7 before it reached multiproc::init()"),
        "{error}"
    );
    println!("ok: init() runs children");
}
