//! `multiproc bench`: its reports are whole, and it ends cleanly. Nothing here asks how fast anything was.

mod common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Json, arg, children, command, is_running, ran, run, signal, wait_for_children};

/// The kinds, and how many rows each has for two payloads and both modes.
const KINDS: [(&str, usize); 7] = [
    ("latency", 16),
    ("throughput", 26),
    ("counter", 4),
    ("lock", 4),
    ("manager", 14),
    ("wake", 9),
    ("spawn", 1),
];

/// As short as it gets.
const TINY: [&str; 5] = ["--quick", "--rounds", "1", "--payload", "8,1k"];

/// A bench that goes on for hours.
fn endless(html: &str) -> std::process::Child {
    let arguments = ["bench", "all", "--rounds", "1001", "--html", html];
    command(&arguments).spawn().expect("the command starts")
}

#[test]
fn every_kind_has_its_rows_with_figures_and_limits() {
    for (kind, count) in KINDS {
        let ran = run(&[&["bench", kind, "--json", "-"], &TINY[..]].concat());
        assert_eq!(ran.stderr, "", "{kind}");
        let json = ran.json();
        assert_eq!(
            (json.number("schema"), json.get("multiproc")),
            (1, "\"0.1.0\"")
        );
        let rows = json.array("rows");
        assert_eq!(rows.len(), count, "{kind}: {rows:#?}");
        for row in rows {
            check_row(kind, &Json(row.to_string()));
        }
    }
}

/// A row is of its kind, and all its figures are numbers above zero.
fn check_row(kind: &str, row: &Json) {
    assert_eq!(row.get("kind"), format!("\"{kind}\""));
    check_figure(row);
    let beside = row.array("beside");
    assert!(!beside.is_empty(), "{row:?}");
    for limit in beside {
        let limit = Json(limit.to_string());
        check_figure(&limit);
        let ratio = Json(limit.get("ratio").to_string());
        assert_summary(&ratio);
    }
    let payload = row.get("payload");
    let has_payload = ["latency", "throughput"].contains(&kind);
    assert_eq!(payload != "null", has_payload, "{row:?}");
    let timed = row.get("unit") == "\"ns\"" && !["counter", "lock", "manager"].contains(&kind);
    assert_eq!(row.get("latency_ns") != "null", timed, "{row:?}");
}

fn check_figure(figure: &Json) {
    assert_summary(figure);
    assert_eq!(figure.array("runs").len(), 1, "{figure:?}");
    if figure.get("latency_ns") != "null" {
        let latency = Json(figure.get("latency_ns").to_string());
        let keys = ["p50", "p90", "p99", "p999", "max"];
        let times = keys.map(|key| latency.number(key));
        assert!(times[0] > 0 && times.is_sorted(), "{figure:?}");
        assert_positive(&latency, "count");
    }
}

fn assert_summary(of: &Json) {
    for key in ["median", "min", "max"] {
        assert_positive(of, key);
    }
}

fn assert_positive(of: &Json, key: &str) {
    let value: f64 = of.get(key).parse().expect("a number");
    assert!(value.is_finite() && value > 0.0, "{key} of {of:?}");
}

#[test]
fn the_table_is_aligned_and_names_the_machine() {
    let ran = run(&[&["bench", "counter", "wake"], &TINY[..]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for name in ["kernel", "caches", "clocksource", "virtualised", "load"] {
        let has = |line: &str| line.starts_with(name);
        assert!(ran.stdout.lines().any(has), "{name}: {}", ran.stdout);
    }
    let rows = ran.stdout.lines().filter(|line| line.starts_with("Event"));
    let columns: Vec<_> = rows.map(|row| row.find("bare").expect("a limit")).collect();
    assert!(columns.len() == 3 && columns.iter().all(|c| *c == columns[0]));
}

#[test]
fn the_page_has_its_plots_and_loads_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (html, json) = (dir.path().join("page.html"), dir.path().join("report.json"));
    let files = ["--html", arg(&html), "--json", arg(&json)];
    let ran = run(&[&["bench", "all"], &TINY[..], &files].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let rows = Json(
        fs::read_to_string(json)
            .expect("a report")
            .trim_end()
            .into(),
    );
    let all: usize = KINDS.iter().map(|(_, count)| count).sum();
    assert_eq!(rows.array("rows").len(), all);

    let page = fs::read_to_string(html).expect("a page");
    for (plot, count) in [
        ("Round trip, spin", 1),
        ("Round trip, block", 1),
        ("Messages a second, by size", 1),
        ("Age of a message on arrival, spin", 1),
        ("Wake-up, block", 1),
        ("Start and end", 1),
        (
            "Time of an operation, as a multiple of what stands beside it",
            KINDS.len(),
        ),
    ] {
        let label = format!("role=\"img\" aria-label=\"{plot}\">");
        assert_eq!(page.matches(&label).count(), count, "{plot}");
    }
    assert_eq!(
        page.matches("<figure>").count(),
        page.matches("<div class=\"scroll\"><table>").count(),
        "a table beside each plot"
    );
    assert!(page.contains("width=device-width") && page.contains("prefers-color-scheme: dark"));
    for foreign in [
        "http:", "https:", "//cdn", "<script", "src=", "url(", "@import", "NaN", "inf\"",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn wrong_arguments_are_one_line_and_status_2() {
    for line in [
        "bench",
        "bench speed",
        "bench latency --mode fast",
        "bench latency --payload 7",
        "bench all --rounds 0",
        "bench all --processes 1",
        "bench all --html -",
        "bench all --nope",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ran = run(&arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
        let said = ran.stderr.strip_prefix("multiproc: ").expect("who says it");
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_measured() {
    let ran = run(&[
        "bench",
        "all",
        "--rounds",
        "1001",
        "--json",
        "/proc/none/report",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("/proc/none/report"), "{ran:?}");
}

#[test]
fn signals_end_it_soon_and_leave_nothing() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let dir = tempfile::tempdir().expect("a directory");
        let html = dir.path().join("page.html");
        let bench = endless(arg(&html));
        let workers = wait_for_children(bench.id(), 2);
        let begin = Instant::now();
        signal(name, bench.id());
        let ran = ran(bench);
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
        assert!(workers.iter().all(|&pid| !is_running(pid)), "{name}");
        assert!(!html.exists(), "{name}");
    }
}

#[test]
fn a_killed_worker_ends_it_with_a_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = endless(arg(&dir.path().join("page.html")));
    let mut seen = Vec::new();
    // A worker whose work is done already may be killed without anybody minding: another one comes.
    while bench.try_wait().expect("it is ours").is_none() {
        for pid in children(bench.id()) {
            seen.push(pid);
            let kill = ["-KILL", &pid.to_string()];
            let _ = Command::new("kill").args(kill).output();
        }
    }
    let ran = ran(bench);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("bench-"), "{ran:?}");
    assert!(seen.iter().all(|&pid| !is_running(pid)));
}
