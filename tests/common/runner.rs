//! A test runner with one thread: the same lines and arguments as the standard one, as far as they apply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A test: its name and its body, which panics to fail.
pub type Test = (&'static str, fn());

/// Runs the tests whose names match the arguments, one after the other, and reports like the standard runner.
pub fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let exact = arguments.iter().any(|a| a == "--exact");
    let wanted = |name: &str| {
        let hit = |f: &&String| {
            if exact {
                name == f.as_str()
            } else {
                name.contains(f.as_str())
            }
        };
        filters.is_empty() || filters.iter().any(hit)
    };
    let chosen: Vec<&Test> = tests.iter().filter(|(name, _)| wanted(name)).collect();
    std::panic::set_hook(Box::new(report));
    let begin = Instant::now();
    println!("\nrunning {} tests", chosen.len());
    let mut failed: Vec<&str> = Vec::new();
    for test in &chosen {
        if !passes(test) {
            failed.push(test.0);
            if fail_fast() {
                break;
            }
        }
    }
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        chosen.len() - failed.len(),
        failed.len(),
        tests.len() - chosen.len(),
        begin.elapsed().as_secs_f64(),
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(101)
    }
}

/// Whether the first failure says enough: a fault that was planted is to be caught, not described.
pub fn fail_fast() -> bool {
    std::env::var_os("MULTIPROC_FAIL_FAST").is_some()
}

/// One line on standard error, written at once: children write there too.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// One line for each panic: of a thousand children nobody wants the back traces.
fn report(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map_or_else(String::new, ToString::to_string);
    let payload = panic.payload();
    let owned = || payload.downcast_ref::<String>().map(String::as_str);
    let text = payload.downcast_ref::<&str>().copied().or_else(owned);
    say(&format!("{place}: {}", text.unwrap_or("a panic")));
}

fn passes((name, body): &Test) -> bool {
    let begin = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
    let verdict = if passed { "ok" } else { "FAILED" };
    println!(
        "test {name} ... {verdict} ({:.2}s)",
        begin.elapsed().as_secs_f64()
    );
    passed
}
