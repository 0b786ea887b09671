//! `multiproc ls` and `multiproc gc`: what they show and sweep.
//!
//! One test, because the directory of named objects is chosen for the whole process.

mod common;

use common::{Ran, command, ran};
use multiproc::{Process, Queue};
use tempfile::TempDir;

/// Runs the command on the named objects in this directory.
fn run(arguments: &[&str], directory: &TempDir) -> Ran {
    let child = command(arguments)
        .env("MULTIPROC_DIR", directory.path())
        .spawn();
    let ran = ran(child.expect("the command starts"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran
}

/// Makes a queue under this name, says so, and waits for its end.
fn make_and_hang(name: String, made: Queue<()>) -> multiproc::Result<()> {
    let queue = Queue::<String>::create(name)?;
    queue.put("lost")?;
    made.put(())?;
    loop {
        std::thread::park();
    }
}

#[test]
fn named_objects_are_listed_and_what_crashed_is_swept() -> multiproc::Result<()> {
    let directory = tempfile::tempdir().expect("a directory");
    // Objects are named in a directory of one's own only, as the library makes it.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(directory.path(), private).expect("chmod");
    assert_eq!(run(&["ls"], &directory).stdout, "no named objects\n");

    // The objects are made by children, which get the directory in their environment.
    let made = Queue::new(1)?;
    let child = |name: &str| {
        let builder = Process::builder().env("MULTIPROC_DIR", directory.path());
        builder.spawn(make_and_hang, (name.to_string(), made.clone()))
    };
    let (alive, dead) = (child("alive")?, child("dead")?);
    made.get_owned()?;
    made.get_owned()?;
    dead.kill()?;
    dead.join().expect_err("it was killed");

    let listed = run(&["ls"], &directory).stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[1].starts_with("alive  queue<String>"), "{listed}");
    assert!(
        lines[1].contains(&format!("1 ({} ", alive.pid())),
        "{listed}"
    );
    assert!(
        lines[1].contains("1 of 1,024 waiting; 1 put, 0 taken"),
        "{listed}"
    );
    assert!(lines[2].starts_with("dead   queue<String>"), "{listed}");
    assert!(lines[2].contains("0 and 1 dead"), "{listed}");

    let swept = run(&["gc"], &directory).stdout;
    assert_eq!(
        swept,
        "removed dead\n1 removed, 1 in use, 0 dead members cleaned up after\n"
    );
    assert_eq!(run(&["ls"], &directory).stdout.lines().count(), 2);

    alive.kill()?;
    alive.join().expect_err("it was killed");
    run(&["gc"], &directory);
    assert_eq!(run(&["ls"], &directory).stdout, "no named objects\n");
    Ok(())
}
