//! `multiproc pipeline` and the signals: chaos, kills by hand, Ctrl-C, a closed pipe.

mod common;

use common::{
    Json, arg, children, command, is_running, ran, run, signal, text, tree, wait_for_children,
    wait_until,
};

#[test]
fn counts_are_exact_while_workers_are_killed() {
    let dir = tree(&[
        ("a", &text(600_000, 1)),
        ("b", &text(90_000, 2)),
        ("c", b"x y\n"),
    ]);
    for options in [
        ["--workers=2", "--capacity=64"],
        ["--workers=4", "--capacity=2"],
    ] {
        let fixed = [
            "pipeline",
            "--json",
            "--verify",
            "--chaos=50ms",
            "--repeat=8",
            arg(dir.path()),
        ];
        let json = run(&[&fixed[..], &options].concat()).json();
        assert_eq!(json.get("verified"), "true");
        assert!(json.number("kills") >= 1);
        let killed: u64 = json
            .array("workers")
            .iter()
            .map(|w| Json(w.to_string()).number("kills"))
            .sum();
        assert_eq!(killed, json.number("kills"));
    }
}

#[test]
fn even_the_smallest_job_sees_a_kill() {
    let dir = tree(&[("a", b"one\n")]);
    let ran = run(&["pipeline", "--chaos=1h", "--verify", arg(dir.path())]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.ends_with("1 worker killed, counts identical\n"),
        "{ran:?}"
    );
}

/// A job that would run for hours, and its children: one producer, two workers.
fn endless(dir: &tempfile::TempDir) -> (std::process::Child, Vec<u32>) {
    let arguments = [
        "pipeline",
        "--json",
        "--workers=2",
        "--repeat=100000000",
        arg(dir.path()),
    ];
    let child = command(&arguments).spawn().expect("the command starts");
    let children = wait_for_children(child.id(), 3);
    (child, children)
}

#[test]
fn a_worker_killed_by_hand_is_replaced() {
    let dir = tree(&[("a", &text(600_000, 3))]);
    let arguments = [
        "pipeline",
        "--json",
        "--verify",
        "--workers=1",
        "--repeat=20",
        arg(dir.path()),
    ];
    let child = command(&arguments).spawn().expect("the command starts");
    let pid = child.id();
    let worker = wait_until(|| children(pid).into_iter().find(|&c| name(c) == "worker-0"));
    signal("KILL", worker);
    let json = ran(child).json();
    assert_eq!((json.number("kills"), json.get("verified")), (1, "true"));
}

#[test]
fn a_killed_producer_ends_the_job_with_its_reason() {
    let dir = tree(&[("a", &text(600_000, 4))]);
    let (child, all) = endless(&dir);
    // A child has its own name a moment after it has started.
    let producer = wait_until(|| all.iter().copied().find(|&c| name(c) == "producer-0"));
    signal("KILL", producer);
    let ran = ran(child);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("producer-0"), "{ran:?}");
    assert!(all.iter().all(|&pid| !is_running(pid)));
}

fn name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_string()
}

#[test]
fn ctrl_c_ends_the_children_and_leaves_nothing() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let dir = tree(&[("a", &text(600_000, 5))]);
        let (child, all) = endless(&dir);
        signal(name, child.id());
        let ran = ran(child);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
        assert!(all.iter().all(|&pid| !is_running(pid)));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tree(&[("a", &text(100_000, 6))]);
    let mut child = command(&["pipeline", "--top=100000", arg(dir.path())])
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let ran = ran(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}
