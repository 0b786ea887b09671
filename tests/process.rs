//! Processes: what crosses, how each end is told apart, and who ends with whom.

use std::error::Error as StdError;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use multiproc::process::{Failure, Stdio};
use multiproc::{ErrorKind, ExitStatus, Process, active_children, current_process, parent_process};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

// What crosses.

fn nothing() {}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[test]
fn values_cross_both_ways() {
    assert_eq!(Process::spawn(add, (40, 2)).unwrap().join().unwrap(), 42);
    Process::spawn(nothing, ()).unwrap().join().unwrap();
    let swap = |a: String, b: Vec<Option<i8>>| (b, a);
    let process = Process::spawn(swap, ("text".to_string(), vec![Some(-1), None])).unwrap();
    let (b, a) = process.join().unwrap();
    assert_eq!((a.as_str(), b), ("text", vec![Some(-1), None]));
    assert_eq!(process.join().unwrap().1, "text", "joined again");
}

#[test]
fn up_to_eight_arguments_cross() {
    #[allow(clippy::too_many_arguments)]
    fn all(a: u8, b: i8, c: u16, d: i16, e: u32, f: i32, g: u64, h: String) -> String {
        format!("{a} {b} {c} {d} {e} {f} {g} {h}")
    }
    let process = Process::spawn(all, (1, -2, 3, -4, 5, -6, 7, "8".to_string())).unwrap();
    assert_eq!(process.join().unwrap(), "1 -2 3 -4 5 -6 7 8");
}

#[test]
fn generic_functions_are_entries() {
    fn double<T: Clone>(x: Vec<T>) -> Vec<T> {
        [x.clone(), x].concat()
    }
    let process = Process::spawn(double::<u32>, (vec![1, 2],)).unwrap();
    assert_eq!(process.join().unwrap(), [1, 2, 1, 2]);
    let process = Process::spawn(double::<bool>, (vec![true],)).unwrap();
    assert_eq!(process.join().unwrap(), [true, true]);
}

#[test]
fn large_arguments_and_results_cross() {
    fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.reverse();
        bytes
    }
    let sent: Vec<u8> = (0..8 << 20).map(|i| (i % 251) as u8).collect();
    let got = Process::spawn(reverse, (sent.clone(),)).unwrap().join();
    assert!(got.unwrap().iter().rev().eq(sent.iter()));
}

// Every kind of entry, without annotations.

fn ours(fail: bool) -> multiproc::Result<String> {
    match fail {
        false => Ok("ours".into()),
        true => Err(multiproc::Error::new(
            ErrorKind::Closed,
            "the shop is closed",
        )),
    }
}

fn input_output(fail: bool) -> io::Result<u8> {
    match fail {
        false => Ok(7),
        true => Err(io::Error::other("the disk is full")),
    }
}

fn boxed(fail: bool) -> Result<(), Box<dyn StdError + Send + Sync>> {
    if fail {
        "seven".parse::<u64>()?;
    }
    Ok(())
}

fn own_result(fail: bool) -> Result<u64, String> {
    if fail { Err("no".into()) } else { Ok(1) }
}

#[test]
fn fallible_entries_give_their_value() {
    assert_eq!(
        Process::spawn(ours, (false,)).unwrap().join().unwrap(),
        "ours"
    );
    assert_eq!(
        Process::spawn(input_output, (false,))
            .unwrap()
            .join()
            .unwrap(),
        7
    );
    Process::spawn(boxed, (false,)).unwrap().join().unwrap();
}

#[test]
fn errors_of_entries_keep_their_text() {
    let error = Process::spawn(ours, (true,)).unwrap().join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(
        error.to_string().ends_with("failed: the shop is closed"),
        "{error}"
    );
    let Some(Failure::Failed { kind, text, .. }) = Failure::of(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(
        (*kind, text.as_str()),
        (ErrorKind::Closed, "the shop is closed")
    );

    let process = Process::spawn(input_output, (true,)).unwrap();
    let error = process.join().unwrap_err();
    assert!(
        error.to_string().ends_with("failed: the disk is full"),
        "{error}"
    );
    assert_eq!(process.exit_status(), Some(ExitStatus::Exited(1)));

    let error = Process::spawn(boxed, (true,)).unwrap().join().unwrap_err();
    assert!(error.to_string().contains("invalid digit"), "{error}");
}

#[test]
fn a_result_of_messages_is_a_value() {
    let process = Process::spawn(own_result, (true,)).unwrap();
    assert_eq!(process.join().unwrap(), Err("no".to_string()));
    assert_eq!(process.exit_status(), Some(ExitStatus::Exited(0)));
}

// How a process can end otherwise.

#[test]
fn panics_come_with_message_and_place() {
    let entry = |n: u64| assert_eq!(n, 2, "the number is wrong");
    let line = line!() - 1;
    let process = Process::builder().name("panicky").stderr(Stdio::piped());
    let process = process.spawn(entry, (1,)).unwrap();
    let error = process.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    let text = error.to_string();
    let place = format!("tests/process.rs:{line}:");
    assert!(text.contains(&format!("panicked at {place}")), "{text}");
    assert!(text.contains("the number is wrong"), "{text}");
    assert!(text.contains("\"panicky\""), "{text}");
    let Some(Failure::Panicked(panic)) = Failure::of(&error) else {
        panic!("{error:?}");
    };
    assert!(panic.location.as_deref().unwrap().starts_with(&place));
    assert_eq!(process.exit_status(), Some(ExitStatus::Exited(101)));
    let mut told = String::new();
    let mut stderr = process.take_stderr().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert!(
        told.contains("process 'panicky'") && told.contains(&place),
        "{told}"
    );
}

#[test]
fn a_panic_that_was_caught_is_not_told() {
    fn catch() -> u8 {
        let caught = std::panic::catch_unwind(|| panic!("inner"));
        u8::from(caught.is_err())
    }
    let process = Process::builder()
        .stderr(Stdio::null())
        .spawn(catch, ())
        .unwrap();
    assert_eq!(process.join().unwrap(), 1);
}

#[test]
fn exit_codes_are_told() {
    fn leave(code: i32) -> u64 {
        std::process::exit(code)
    }
    for code in [0, 3, 255] {
        let process = Process::spawn(leave, (code,)).unwrap();
        let error = process.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exited);
        assert!(
            error.to_string().contains(&format!("code {code}")),
            "{error}"
        );
        assert_eq!(process.exit_status(), Some(ExitStatus::Exited(code)));
    }
}

fn forever() {
    loop {
        std::thread::park();
    }
}

fn abort() -> u8 {
    std::process::abort()
}

#[test]
fn signals_are_told() {
    let process = Process::spawn(forever, ()).unwrap();
    assert!(process.is_alive());
    process.terminate().unwrap();
    let error = process.join().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Signaled);
    assert!(error.to_string().contains("signal 15 (SIGTERM)"), "{error}");
    assert!(!process.is_alive());
    process.kill().expect("signalling the dead is no error");

    let process = Process::spawn(forever, ()).unwrap();
    process.kill().unwrap();
    let error = process.join().unwrap_err();
    assert_eq!(
        Failure::of(&error),
        Some(&Failure::Ended(ExitStatus::Signaled(9)))
    );

    let process = Process::spawn(abort, ()).unwrap();
    let error = process.join().unwrap_err();
    assert!(error.to_string().contains("signal 6 (SIGABRT)"), "{error}");
}

#[test]
fn joins_can_wait_for_a_while() {
    let process = Process::spawn(forever, ()).unwrap();
    assert!(process.try_join().unwrap().is_none());
    let error = process.join_timeout(Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = process.join_deadline(Instant::now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(process.exit_status(), None);
    process.kill().unwrap();
    let error = process.join_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Signaled);
    assert!(process.try_join().is_err());
}

#[test]
fn many_threads_may_wait_for_one_process() {
    let process = Process::builder().stdin(Stdio::piped());
    let process = process.spawn(wait_for_stdin, ()).unwrap();
    let stdin = process.take_stdin();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| process.join())).collect();
        drop(stdin);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap(), "");
        }
    });
}

fn wait_for_stdin() -> io::Result<String> {
    io::read_to_string(io::stdin())
}

#[test]
fn the_descriptor_becomes_readable_at_the_end() {
    let process = Process::spawn(nothing, ()).unwrap();
    let mut poll = libc::pollfd {
        fd: process.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd is passed, with its count.
    let ready = unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as i32) };
    assert_eq!((ready, poll.revents), (1, libc::POLLIN));
    process.try_join().unwrap().expect("it has ended");
}

/// The next steps of a child whose entry returns: its result is written, then committed.
#[cfg(debug_assertions)]
#[test]
fn a_result_counts_from_its_commit_on() {
    fn die_at(step: u64) -> String {
        multiproc::crash_steps::arm(step);
        "done".into()
    }
    for step in [0, 1] {
        let error = Process::spawn(die_at, (step,)).unwrap().join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Signaled, "step {step}");
    }
    let process = Process::spawn(die_at, (2,)).unwrap();
    assert_eq!(process.join().unwrap(), "done");
}

// What the builder says.

#[test]
fn the_environment_can_be_changed() {
    fn variables() -> Vec<(String, String)> {
        std::env::vars().collect()
    }
    let process = Process::builder().env("COLOUR", "blue").env_remove("PATH");
    let found = process.spawn(variables, ()).unwrap().join().unwrap();
    assert!(found.contains(&("COLOUR".into(), "blue".into())));
    assert!(!found.iter().any(|(name, _)| name == "PATH"));
    assert!(
        !found
            .iter()
            .any(|(name, _)| name.starts_with("MULTIPROC_LAUNCH"))
    );

    let process = Process::builder()
        .env("GONE", "1")
        .env_clear()
        .env("ONLY", "1");
    let found = process.spawn(variables, ()).unwrap().join().unwrap();
    assert_eq!(found, [("ONLY".to_string(), "1".to_string())]);

    for wrong in ["", "A=B", "A\0B"] {
        let error = Process::builder()
            .env(wrong, "")
            .spawn(nothing, ())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn the_directory_can_be_changed() {
    fn directory() -> io::Result<String> {
        Ok(std::env::current_dir()?.display().to_string())
    }
    let process = Process::builder().cwd("/").spawn(directory, ()).unwrap();
    assert_eq!(process.join().unwrap(), "/");
    let error = Process::builder()
        .cwd("/no/such/place")
        .spawn(directory, ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/no/such/place"), "{error}");
}

fn echo() -> io::Result<()> {
    let text = io::read_to_string(io::stdin())?;
    print!("out {text}");
    eprint!("err {text}");
    Ok(())
}

#[test]
fn streams_can_be_pipes() {
    let builder = Process::builder();
    let builder = builder
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let process = builder.spawn(echo, ()).unwrap();
    process.take_stdin().unwrap().write_all(b"hello").unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    process
        .take_stdout()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    process
        .take_stderr()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("out hello", "err hello"));
    assert!(process.take_stdin().is_none());
    process.join().unwrap();
}

#[test]
fn join_closes_what_nobody_will_write_to() {
    let process = Process::builder().stdin(Stdio::piped());
    let process = process.spawn(wait_for_stdin, ()).unwrap();
    assert_eq!(process.join().unwrap(), "");
}

#[test]
fn streams_can_be_files_or_nothing() {
    let (mut read, write) = io::pipe().unwrap();
    let process = Process::builder()
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let process = process
        .stdout(OwnedFd::from(write))
        .spawn(echo, ())
        .unwrap();
    process.join().unwrap();
    let mut out = String::new();
    read.read_to_string(&mut out).unwrap();
    assert_eq!(out, "out ");
}

// Family.

fn names() -> (String, String, Vec<String>) {
    fn name() -> String {
        current_process().name().to_owned()
    }
    let children = (0..2).map(|_| Process::spawn(name, ()).unwrap());
    let children = children.map(|child| child.join().unwrap()).collect();
    let parent = parent_process().unwrap();
    assert!(parent.is_alive());
    (name(), parent.name().to_owned(), children)
}

#[test]
fn names_tell_the_lineage() {
    assert_eq!(current_process().name(), "MainProcess");
    let process = Process::spawn(names, ()).unwrap();
    let (name, parent, children) = process.join().unwrap();
    assert!(name.starts_with("Process-"), "{name}");
    assert_eq!(name, process.name());
    assert_eq!(parent, "MainProcess");
    assert_eq!(children, [format!("{name}:1"), format!("{name}:2")]);
    let (name, _, children) = Process::builder()
        .name("boss")
        .spawn(names, ())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(name, "boss");
    assert!(children[0].starts_with("Process-"), "{children:?}");
}

#[test]
fn children_are_known_until_they_end() {
    let process = Process::spawn(forever, ()).unwrap();
    let pid = process.pid();
    let known = |pid| {
        active_children()
            .into_iter()
            .find(|child| child.pid() == pid)
    };
    drop(process);
    let child = known(pid).expect("a dropped handle leaves the child alone");
    assert!(child.is_alive());
    child.kill().unwrap();
    assert_eq!(
        child.wait_timeout(PATIENCE).unwrap(),
        ExitStatus::Signaled(9)
    );
    assert!(known(pid).is_none());
}

#[test]
fn a_child_runs_in_one_thread() {
    fn threads() -> io::Result<usize> {
        Ok(std::fs::read_dir("/proc/self/task")?.count())
    }
    assert_eq!(Process::spawn(threads, ()).unwrap().join().unwrap(), 1);
}

#[test]
fn a_child_starts_as_std_would_have_it() {
    fn signals() -> io::Result<(String, String, String)> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_string()
        };
        Ok((field("SigBlk:"), field("SigIgn:"), field("Name:")))
    }
    // SAFETY: a set is initialised before it is used, and blocking a signal for this thread harms nobody.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
    let process = Process::builder().name("a name of many letters");
    let (blocked, ignored, name) = process.spawn(signals, ()).unwrap().join().unwrap();
    assert_eq!(u64::from_str_radix(&blocked, 16).unwrap(), 0);
    let ignored = u64::from_str_radix(&ignored, 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGPIPE - 1), 0, "SIGPIPE is ignored");
    assert!(
        "a name of many letters".starts_with(&name) && !name.is_empty(),
        "{name}"
    );
}

// Children and programs that are none.

#[test]
fn a_program_started_by_a_child_is_not_a_child() {
    /// Runs this very test program again, the ordinary way.
    fn run_program() -> io::Result<String> {
        let mut command = std::process::Command::new("/proc/self/exe");
        let output = command
            .arg("--list")
            .arg("--exact")
            .arg("nothing_of_this_name")
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
    let listed = Process::spawn(run_program, ()).unwrap().join().unwrap();
    assert!(
        listed.contains("0 tests"),
        "the test program itself ran: {listed}"
    );
}

#[test]
fn a_stray_variable_means_nothing() {
    for stray in ["3:0123456789abcdef", "0:0", "99999:1", "-1:1", "x", ":"] {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.args(["--list", "--exact", "nothing_of_this_name"]);
        let output = command.env("MULTIPROC_LAUNCH", stray).output().unwrap();
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(listed.contains("0 tests"), "{stray}: {listed}");
    }
}

#[test]
fn a_child_holds_no_descriptor_of_its_parent() {
    fn descriptors() -> io::Result<Vec<String>> {
        let fds = std::fs::read_dir("/proc/self/fd")?.map(|fd| {
            let path = fd?.path();
            let target = std::fs::read_link(&path).unwrap_or_default();
            Ok(format!("{}", target.display()))
        });
        fds.collect()
    }
    let secret = tempfile::NamedTempFile::new().unwrap();
    let found = Process::spawn(descriptors, ()).unwrap().join().unwrap();
    let path = secret.path().display().to_string();
    assert!(
        !found.iter().any(|target| target.contains(&path)),
        "{found:?}"
    );
    let ours = found.iter().filter(|target| target.contains("multiproc"));
    assert_eq!(ours.count(), 1, "the launch block: {found:?}");
}

// Resources and threads.

#[test]
fn busy_threads_do_not_hang_a_spawn() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let text: Vec<String> = (0..64).map(|i| format!("{i:>32}")).collect();
                    std::hint::black_box(text);
                }
            });
        }
        for i in 0..200 {
            let process = Process::spawn(add, (i, 1)).unwrap();
            assert_eq!(process.join_timeout(PATIENCE).unwrap(), i + 1);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_child_outlives_the_thread_that_spawned_it() {
    let spawn = || {
        let builder = Process::builder().stdin(Stdio::piped());
        builder.spawn(wait_for_stdin, ()).unwrap()
    };
    let process = std::thread::spawn(spawn).join().unwrap();
    assert!(process.join_timeout(Duration::from_millis(50)).is_err());
    process
        .take_stdin()
        .unwrap()
        .write_all(b"still here")
        .unwrap();
    assert_eq!(process.join_timeout(PATIENCE).unwrap(), "still here");
}
