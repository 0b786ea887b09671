//! Who ends with whom, and what is left behind: nothing.
//!
//! Most tests run in a child of their own, so that its descriptors, children and signals are theirs alone.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::process::ChildStdout;
use std::time::{Duration, Instant};

use multiproc::process::{self, Stdio};
use multiproc::{ErrorKind, ExitStatus, Message, Process, active_children};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn nothing() {}

fn forever() {
    loop {
        std::thread::park();
    }
}

/// Says its pid on standard output, and stays.
fn say_and_stay() {
    say();
    forever();
}

fn say() {
    let line = format!("{}\n", std::process::id());
    io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Copies standard input to standard output.
fn echo() {
    let text = io::read_to_string(io::stdin()).unwrap();
    io::stdout().write_all(text.as_bytes()).unwrap();
}

fn pidfd(pid: i32) -> OwnedFd {
    // SAFETY: pidfd_open takes two integers; a descriptor that it returns is new and ours.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        assert!(fd >= 0, "no process {pid}: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as RawFd)
    }
}

/// Waits until a process of any parent has ended.
fn await_end(pidfd: &OwnedFd) {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd {
        fd: pidfd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd is passed, with its count.
    let ready = unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as i32) };
    assert_eq!(ready, 1, "a process that should have ended still runs");
}

fn read_pids(stdout: ChildStdout, count: usize) -> Vec<i32> {
    let lines = BufReader::new(stdout).lines().take(count);
    lines.map(|line| line.unwrap().parse().unwrap()).collect()
}

fn piped() -> process::Builder {
    Process::builder()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
}

// The parent is killed.

fn three_generations() {
    fn child() {
        let _grandchild = Process::spawn(say_and_stay, ()).unwrap();
        say_and_stay();
    }
    let _child = Process::spawn(child, ()).unwrap();
    say_and_stay();
}

#[test]
fn children_and_grandchildren_of_a_killed_parent_end() {
    let parent = piped().spawn(three_generations, ()).unwrap();
    let pids = read_pids(parent.take_stdout().unwrap(), 3);
    let pidfds: Vec<_> = pids.iter().map(|&pid| pidfd(pid)).collect();
    parent.kill().unwrap();
    pidfds.iter().for_each(await_end);
    assert_eq!(parent.join().unwrap_err().kind(), ErrorKind::Signaled);
}

#[test]
fn a_child_that_started_too_late_ends_too() {
    // The parent is killed while its child is on the way, at some moment between fork and the child's first output.
    fn spawn_and_die() {
        for _ in 0..3 {
            drop(Process::spawn(say_and_stay, ()).unwrap());
        }
        // SAFETY: kill and getpid have no preconditions.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
    for _ in 0..10 {
        let parent = piped().spawn(spawn_and_die, ()).unwrap();
        let mut all = String::new();
        // Ends only when every holder of the pipe has ended.
        parent
            .take_stdout()
            .unwrap()
            .read_to_string(&mut all)
            .unwrap();
        assert_eq!(parent.child().wait().unwrap(), ExitStatus::Signaled(9));
    }
}

#[test]
fn a_detached_child_goes_on() {
    fn parent() {
        fn child() {
            say();
            echo();
        }
        let builder = Process::builder().detached(true);
        let child = builder.spawn(child, ()).unwrap();
        assert!(child.child().is_detached());
        forever();
    }
    let parent = piped().spawn(parent, ()).unwrap();
    let mut stdout = BufReader::new(parent.take_stdout().unwrap());
    let mut pid = String::new();
    stdout.read_line(&mut pid).unwrap();
    parent.kill().unwrap();
    parent.child().wait().unwrap();
    parent
        .take_stdin()
        .unwrap()
        .write_all(b"still here")
        .unwrap();
    let mut heard = String::new();
    stdout.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "still here");
}

// The parent ends in order.

#[test]
fn a_parent_that_ends_waits_for_its_children() {
    fn parent() -> u8 {
        drop(Process::spawn(echo, ()).unwrap());
        7
    }
    let parent = piped().spawn(parent, ()).unwrap();
    let mut stdin = parent.take_stdin().unwrap();
    let error = parent.join_timeout(Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    stdin.write_all(b"done").unwrap();
    drop(stdin);
    let mut heard = String::new();
    parent
        .take_stdout()
        .unwrap()
        .read_to_string(&mut heard)
        .unwrap();
    assert_eq!(heard, "done");
    assert_eq!(parent.join_timeout(PATIENCE).unwrap(), 7);
}

#[test]
fn a_parent_that_ends_terminates_its_daemons() {
    fn parent() -> bool {
        let daemon = Process::builder().daemon(true);
        let daemon = daemon.spawn(say_and_stay, ()).unwrap();
        daemon.child().is_daemon()
    }
    let parent = piped().spawn(parent, ()).unwrap();
    let mut rest = String::new();
    parent
        .take_stdout()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    assert!(parent.join_timeout(PATIENCE).unwrap());
}

#[test]
fn an_interrupt_reaches_the_whole_group() {
    fn parent() {
        let _child = Process::spawn(say_and_stay, ()).unwrap();
        say_and_stay();
    }
    // A shell starts its background jobs with interrupts ignored, and what is ignored stays so in children.
    // SAFETY: signal has no memory preconditions; nothing in this process handles interrupts.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    // A detached process leads a group of its own, as a shell's foreground job does.
    let parent = piped().detached(true).spawn(parent, ()).unwrap();
    let pids = read_pids(parent.take_stdout().unwrap(), 2);
    let pidfds: Vec<_> = pids.iter().map(|&pid| pidfd(pid)).collect();
    // SAFETY: kill has no memory preconditions; the group is the parent's own.
    assert_eq!(unsafe { libc::kill(-parent.pid(), libc::SIGINT) }, 0);
    pidfds.iter().for_each(await_end);
    assert_eq!(
        parent.child().wait().unwrap(),
        ExitStatus::Signaled(libc::SIGINT)
    );
}

// Nothing is left behind.

#[test]
fn five_hundred_spawns_leak_nothing() {
    fn count() -> io::Result<(usize, usize)> {
        let entries = |path| Ok::<_, io::Error>(fs::read_dir(path)?.count());
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok((entries("/proc/self/fd")?, maps.lines().count()))
    }
    fn spawn_many() -> multiproc::Result<((usize, usize), (usize, usize))> {
        let failed = |e: io::Error| multiproc::Error::new(ErrorKind::Os, e.to_string());
        Process::spawn(nothing, ())?.join()?;
        let before = count().map_err(failed)?;
        for i in 0..500 {
            let process = piped().stderr(Stdio::null()).spawn(nothing, ())?;
            match i % 3 {
                0 => process.join()?,
                1 => drop(process),
                _ => {
                    drop(process.take_stdout());
                    process.child().wait()?;
                }
            }
        }
        while !active_children().is_empty() {}
        Ok((before, count().map_err(failed)?))
    }
    let (before, after) = Process::spawn(spawn_many, ()).unwrap().join().unwrap();
    assert_eq!(before.0, after.0, "descriptors");
    assert!(after.1 <= before.1 + 4, "mappings: {before:?} {after:?}");
}

/// What `waitpid` says about any child of this process.
fn any_child() -> i32 {
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }
}

#[test]
fn no_zombie_is_left() {
    fn spawn_and_drop() -> multiproc::Result<i32> {
        for _ in 0..10 {
            drop(Process::spawn(nothing, ())?);
        }
        while !active_children().is_empty() {}
        Ok(any_child())
    }
    let left = Process::spawn(spawn_and_drop, ()).unwrap().join().unwrap();
    assert_eq!(left, -1, "every child was reaped");
}

#[test]
fn spawning_reaps_what_was_dropped() {
    fn spawn_on() -> multiproc::Result<()> {
        let held = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Process::spawn(nothing, ())?.join()?;
        let before = held();
        for _ in 0..20 {
            drop(Process::spawn(nothing, ())?);
        }
        let start = Instant::now();
        while held() > before && start.elapsed() < PATIENCE {
            Process::spawn(nothing, ())?.join()?;
        }
        assert_eq!(held(), before, "descriptors of dropped children");
        Ok(())
    }
    Process::spawn(spawn_on, ()).unwrap().join().unwrap();
}

#[test]
fn a_spawn_that_fails_leaves_nothing() {
    fn fail() -> multiproc::Result<(bool, i32, usize)> {
        let nowhere = || Process::builder().cwd("/no/such/place").spawn(nothing, ());
        let failed = nowhere().is_err();
        let before = fs::read_dir("/proc/self/fd").map(Iterator::count);
        let _ = nowhere();
        let after = fs::read_dir("/proc/self/fd").map(Iterator::count);
        let leaked = after.unwrap_or(0) - before.unwrap_or(0);
        Ok((failed, any_child(), leaked))
    }
    let told = Process::spawn(fail, ()).unwrap().join().unwrap();
    assert_eq!(told, (true, -1, 0));
}

#[test]
fn no_descriptor_left_is_a_typed_error() {
    fn exhaust() -> multiproc::Result<String> {
        let mut held = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            held.push(file);
        }
        let error = Process::spawn(nothing, ()).unwrap_err();
        drop(held);
        Process::spawn(nothing, ())?.join()?;
        Ok(format!("{:?}: {error}", error.kind()))
    }
    fn limited() -> multiproc::Result<String> {
        let limit = libc::rlimit {
            rlim_cur: 64,
            rlim_max: 64,
        };
        // SAFETY: the limit is a valid structure.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        exhaust()
    }
    let told = Process::spawn(limited, ()).unwrap().join().unwrap();
    assert!(told.contains("ulimit -n"), "{told}");
}

// Others wait for our children.

#[test]
fn a_status_taken_by_somebody_else_is_made_up_for() {
    fn ignore_children() -> multiproc::Result<(u8, String)> {
        // SAFETY: SIG_IGN is a valid disposition; this process is the test's own.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let value = Process::spawn(|| 5_u8, ())?.join()?;
        for _ in 0..20 {
            Process::spawn(nothing, ())?.join()?; // some of them end before we look
        }
        let process = Process::spawn(forever, ())?;
        process.kill()?;
        let error = process.join().unwrap_err();
        Ok((value, error.to_string()))
    }
    let (value, error) = Process::spawn(ignore_children, ()).unwrap().join().unwrap();
    assert_eq!(value, 5, "the value does not depend on the status");
    assert!(error.contains("SIGCHLD"), "{error}");
}

// Copies of single-threaded processes.

fn fork<R: Message>(body: impl FnOnce() -> R) -> multiproc::Result<Process<R>> {
    // SAFETY: no shared object is in use in these tests.
    unsafe { process::fork(body) }
}

#[test]
fn a_process_with_threads_is_not_forked() {
    let error = fork(|| 1_u8).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Threads); // this harness has at least two
}

#[test]
fn a_fork_runs_a_closure_with_all_it_captured() {
    fn forks() -> multiproc::Result<(u64, String, String, i32)> {
        let table: Vec<u64> = (1..=100).collect();
        let sum = fork(|| table.iter().sum::<u64>())?;
        let name = fork(|| multiproc::current_process().name().to_owned())?;
        let panics = fork(|| {
            let nothing: Option<u8> = table.get(1000).map(|&n| n as u8);
            nothing.expect("there is no such row")
        })?;
        let killed = fork(forever)?;
        killed.kill()?;
        let told = killed.child().wait()?.exitcode();
        let panic = panics.join().unwrap_err().to_string();
        Ok((sum.join()?, name.join()?, panic, told))
    }
    let builder = Process::builder().name("original").stderr(Stdio::null());
    let (sum, name, panic, told) = builder.spawn(forks, ()).unwrap().join().unwrap();
    assert_eq!((sum, told), (5050, -9));
    assert!(name.ends_with(":2"), "{name}");
    assert!(
        panic.contains("there is no such row") && panic.contains("process_family.rs"),
        "{panic}"
    );
}

#[test]
fn a_fork_ends_with_its_parent() {
    fn parent() -> multiproc::Result<()> {
        let _copy = fork(say_and_stay)?;
        say_and_stay();
        Ok(())
    }
    let parent = piped().spawn(parent, ()).unwrap();
    let pids = read_pids(parent.take_stdout().unwrap(), 2);
    let pidfds: Vec<_> = pids.iter().map(|&pid| pidfd(pid)).collect();
    parent.kill().unwrap();
    pidfds.iter().for_each(await_end);
}

#[test]
fn a_fork_has_children_of_its_own() {
    fn forks() -> multiproc::Result<(usize, u64)> {
        let older = Process::spawn(forever, ())?;
        let copy = fork(|| {
            let adopted = active_children().len();
            let own = Process::spawn(|| 11_u64, ()).and_then(|own| own.join());
            (adopted as u64, own.unwrap_or(0))
        })?;
        let (adopted, own) = copy.join()?;
        older.kill()?;
        Ok((adopted as usize, own))
    }
    let told = Process::spawn(forks, ()).unwrap().join().unwrap();
    assert_eq!(told, (0, 11));
}
