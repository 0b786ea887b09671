//! `multiproc pipeline`: what it counts, prints and returns.

mod common;

use common::{Ran, arg, command, ran, run, run_with, text, tree};
use std::process::Command;

/// The keys of `--json`, in order.
const KEYS: [&str; 15] = [
    "records",
    "bytes",
    "words",
    "lines",
    "files",
    "skipped",
    "seconds",
    "records_per_s",
    "mb_per_s",
    "latency_ns",
    "queue_share",
    "workers",
    "kills",
    "redelivered",
    "verified",
];

fn totals(ran: &Ran) -> [u64; 3] {
    let json = ran.json();
    ["lines", "words", "bytes"].map(|key| json.number(key))
}

#[test]
fn counts_what_wc_counts() {
    let dir = tree(&[
        ("a.txt", &text(300_000, 1)),
        ("deep/b.txt", &text(10_000, 2)),
        ("empty", b""),
        ("no newline", b"the end"),
        ("latin-1", b"caf\xe9 na\xefve \xa0 x\n\xff\xfe\n"),
    ]);
    let wc = format!(
        "LC_ALL=C wc $(find '{}' -type f | tr ' ' '?') | tail -1",
        arg(dir.path())
    );
    let output = Command::new("sh")
        .args(["-c", &wc])
        .output()
        .expect("a shell");
    let wc = String::from_utf8(output.stdout).expect("text");
    let numbers = wc.split_whitespace().take(3);
    let wc: Vec<u64> = numbers.map(|n| n.parse().expect("a number")).collect();
    for options in [
        &["--single"][..],
        &["--workers", "3"],
        &["--producers", "3", "--capacity", "1"],
    ] {
        let ran = run(&[&["pipeline", "--json", arg(dir.path())], options].concat());
        assert_eq!(totals(&ran)[..], wc[..], "{options:?}");
        assert_eq!(ran.json().number("files"), 5);
    }
}

#[test]
fn one_process_and_many_say_the_same() {
    let dir = tree(&[
        ("a", &text(500_000, 3)),
        ("b", &text(70_000, 4)),
        ("c", b"x"),
    ]);
    let path = arg(dir.path());
    let single = run(&[
        "pipeline", "--json", "--single", "--repeat", "3", "--top", "50", path,
    ])
    .json();
    let many = run(&["pipeline", "--json", "--repeat", "3", "--top", "50", path]).json();
    for key in [
        "records", "bytes", "words", "lines", "files", "skipped", "kills", "top",
    ] {
        assert_eq!(single.get(key), many.get(key), "{key}");
    }
    let shared: u64 = many
        .array("workers")
        .iter()
        .map(|w| json_number(w, "records"))
        .sum();
    assert_eq!(shared, many.number("records"));
}

fn json_number(object: &str, key: &str) -> u64 {
    common::Json(object.to_string()).number(key)
}

#[test]
fn json_has_exactly_the_keys_promised() {
    let dir = tree(&[("a", b"b a \"quoted\\ b\n")]);
    for option in ["--single", "--verify"] {
        let json = run(&["pipeline", "--json", option, arg(dir.path())]).json();
        assert_eq!(json.keys()[..15], KEYS);
        assert_eq!(json.keys()[15..], ["top"]);
        let latency = common::Json(json.get("latency_ns").to_string());
        assert_eq!(latency.keys(), ["p50", "p99", "p999"]);
        assert_eq!(json.array("top")[0], r#"{"word":"b","count":2}"#);
        assert_eq!(json.array("top")[1], r#"{"word":"\"quoted\\","count":1}"#);
        assert_eq!(
            json.get("verified"),
            if option == "--verify" {
                "true"
            } else {
                "false"
            }
        );
    }
}

#[test]
fn hidden_ignored_and_binary_files_are_skipped_and_counted() {
    let dir = tree(&[
        (".gitignore", b"target/\n"),
        (".hidden", b"h\n"),
        ("target/debug/out", b"o\n"),
        ("binary", b"a\0b\n"),
        ("text", b"t\n"),
    ]);
    let json = run(&["pipeline", "--json", arg(dir.path())]).json();
    assert_eq!(
        [
            json.number("files"),
            json.number("skipped"),
            json.number("words")
        ],
        [1, 4, 1]
    );
    let json = run(&["pipeline", "--json", "--all", arg(dir.path())]).json();
    assert_eq!(
        [
            json.number("files"),
            json.number("skipped"),
            json.number("words")
        ],
        [5, 0, 5]
    );
}

#[test]
fn an_unreadable_file_is_said_and_counted_and_the_job_goes_on() {
    let dir = tree(&[("a", b"one two\n")]);
    let missing = dir.path().join("missing");
    for option in ["--single", "--workers=2"] {
        // The second can be opened and not be read, by any user.
        let paths = [arg(&missing), "/proc/self/mem", arg(dir.path())];
        let ran = run(&[&["pipeline", "--json", option, "--repeat=3"], &paths[..]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 2, "each is said once: {ran:?}");
        assert!(ran.stderr.contains("missing: No such file"), "{ran:?}");
        assert!(ran.stderr.contains("/proc/self/mem: "), "{ran:?}");
        let json = common::Json(ran.stdout.trim_end().to_string());
        assert_eq!(
            [
                json.number("words"),
                json.number("files"),
                json.number("skipped")
            ],
            [6, 1, 2]
        );
    }
}

#[test]
fn standard_input_is_read_and_can_be_repeated() {
    let input = text(200_000, 5);
    let once = totals(&run_with(&input, &["pipeline", "--json", "-"]));
    assert_eq!(once[2], input.len() as u64);
    for options in [["--single", "--verify"], ["--verify", "--producers=2"]] {
        let ran = run_with(
            &input,
            &[&["pipeline", "--json", "--repeat=3", "-"], &options[..]].concat(),
        );
        assert_eq!(totals(&ran), once.map(|n| 3 * n));
        assert_eq!(ran.json().get("verified"), "true");
    }
}

#[test]
fn empty_input_is_counted_too() {
    for option in ["--single", "--workers=2"] {
        let json = run_with(b"", &["pipeline", "--json", option, "-"]).json();
        assert_eq!(
            [
                json.number("records"),
                json.number("words"),
                json.number("files")
            ],
            [0, 0, 1]
        );
        assert_eq!(json.array("top").len(), 0);
    }
}

/// `MULTIPROC_LINE=100000000` for the size that the documentation promises.
#[test]
fn one_very_long_line_is_one_record() {
    let bytes = std::env::var("MULTIPROC_LINE")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(4_000_000);
    let mut line = text(bytes, 6);
    line.iter_mut()
        .filter(|b| **b == b'\n')
        .for_each(|b| *b = b' ');
    line.push(b'\n');
    let ran = run_with(&line, &["pipeline", "--json", "--verify", "-"]);
    assert_eq!(ran.json().get("verified"), "true");
    assert_eq!(
        [ran.json().number("records"), ran.json().number("lines")],
        [1, 1]
    );
}

#[test]
fn a_difference_is_printed_and_fails() {
    // A file whose contents are never the same twice.
    for option in ["--single", "--workers=2"] {
        let ran = run(&[
            "pipeline",
            "--verify",
            "--quiet",
            option,
            "/proc/sys/kernel/random/uuid",
        ]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("counted, 0 in the recount"), "{ran:?}");
        assert!(
            ran.stderr.contains("0 counted, 1 in the recount"),
            "{ran:?}"
        );
    }
}

#[test]
fn the_report_is_for_people() {
    let dir = tree(&[("a", b"tick tock tick\n")]);
    let ran = run(&["pipeline", "--verify", arg(dir.path())]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for part in [
        "words",
        "MB/s",
        "put to take",
        "p99.9",
        "worker 1",
        "2  tick",
        "1  tock",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    assert!(
        ran.stdout.ends_with("0 workers killed, counts identical\n"),
        "{ran:?}"
    );
}

#[test]
fn quiet_says_nothing() {
    let dir = tree(&[("a", b"tick\n")]);
    let ran = run(&["pipeline", "--quiet", "--verify", arg(dir.path())]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
}

#[test]
fn wrong_arguments_are_one_line_and_exit_2() {
    for arguments in [
        &["pipeline", "--workers", "none"][..],
        &["pipeline", "--nope"],
        &["nope"],
        &[],
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn help_defines_what_the_report_shows() {
    let ran = run(&["pipeline", "--help"]);
    assert_eq!(ran.code, Some(0));
    for word in [
        "queue_share",
        "latency_ns",
        "--chaos",
        "--verify",
        "Exit status",
    ] {
        assert!(ran.stdout.contains(word), "{word}");
    }
}

#[test]
fn a_job_without_input_claims_no_speed() {
    let dir = tree(&[("empty", b"")]);
    let ran = run(&["pipeline", "--verify", arg(dir.path())]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.contains("nothing was put\n"), "{ran:?}");
    let single = run(&["pipeline", "--verify", "--single", arg(dir.path())]);
    assert!(
        single.stdout.ends_with("\n\ncounts identical\n"),
        "{single:?}"
    );
}

#[test]
fn input_that_cannot_be_kept_says_where_and_why() {
    let child = command(&["pipeline", "--repeat", "2", "-"])
        .env("TMPDIR", "/proc/nowhere")
        .spawn()
        .expect("the command starts");
    let ran = ran(child);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(
        ran.stderr.contains("copied to /proc/nowhere") && ran.stderr.contains("TMPDIR"),
        "{ran:?}"
    );
}
