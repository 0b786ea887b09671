//! Spawn and join of an empty function, against exec and wait of the same image returning at once.
//!
//! `cargo bench --bench spawn -- [ROUNDS]`. The two are measured in turn, so that both see the same machine; the second
//! pass runs in a parent that has touched 1 GiB. Last comes how fast a killed parent takes its child along.

use std::ffi::CString;
use std::hint::black_box;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use multiproc::{Process, Stdio};

/// As the only argument: return from `main` at once.
const AT_ONCE: &str = "return-at-once";

fn nothing() {}

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == AT_ONCE {
        return;
    }
    multiproc::init();
    let rounds = argument.parse().unwrap_or(500);
    println!(
        "{:<26} {:>12} {:>12} {:>7}  (medians; fastest in brackets)",
        "", "exec+wait", "spawn+join", "ratio"
    );
    compare("small parent", rounds);
    let touched = vec![1_u8; 1 << 30];
    black_box(&touched);
    compare("parent with 1 GiB touched", rounds);
    drop(touched);
    orphans(rounds / 10 + 1);
}

/// From the SIGKILL of a parent until the kernel has ended its child.
fn orphans(rounds: usize) {
    let mut times: Vec<_> = (0..rounds).map(|_| orphan()).collect();
    times.sort();
    println!(
        "SIGKILL of a parent until its child is gone: median {:?}, slowest {:?} of {rounds}",
        times[rounds / 2],
        times[rounds - 1]
    );
}

fn orphan() -> Duration {
    let parent = Process::builder().stdout(Stdio::piped());
    let parent = parent.spawn(parent_of_one, ()).expect("spawn");
    let mut pipe = parent.take_stdout().expect("a pipe");
    pipe.read_exact(&mut [0])
        .expect("the child says that it is there");
    let start = Instant::now();
    parent.kill().expect("kill");
    // The pipe ends when the last of the two has ended.
    pipe.read_to_end(&mut Vec::new()).expect("the end");
    start.elapsed()
}

fn parent_of_one() {
    fn child() {
        std::io::stdout().write_all(b".").expect("a pipe");
        std::io::stdout().flush().expect("a pipe");
        forever();
    }
    let _child = Process::spawn(child, ()).expect("spawn");
    forever();
}

fn forever() {
    loop {
        std::thread::park();
    }
}

fn compare(what: &str, rounds: usize) {
    let (mut exec, mut spawn) = (Vec::new(), Vec::new());
    for round in 0..rounds + 20 {
        let times = (time(exec_and_wait), time(spawn_and_join));
        if round >= 20 {
            exec.push(times.0);
            spawn.push(times.1);
        }
    }
    exec.sort();
    spawn.sort();
    let (exec_median, spawn_median) = (exec[rounds / 2], spawn[rounds / 2]);
    let ratio = spawn_median.as_secs_f64() / exec_median.as_secs_f64();
    let micros = |time: Duration| format!("{:.0} us", time.as_secs_f64() * 1e6);
    println!(
        "{what:<26} {:>12} {:>12} {ratio:>7.2}  [{}, {}]",
        micros(exec_median),
        micros(spawn_median),
        micros(exec[0]),
        micros(spawn[0])
    );
}

fn time(action: fn()) -> Duration {
    let start = Instant::now();
    action();
    start.elapsed()
}

fn spawn_and_join() {
    let process = Process::spawn(nothing, ()).expect("spawn");
    process.join().expect("join");
}

/// The least that running a program takes.
fn exec_and_wait() {
    let arguments = [c"spawn".to_owned(), CString::new(AT_ONCE).expect("no NUL")];
    let arguments = [
        arguments[0].as_ptr().cast_mut(),
        arguments[1].as_ptr().cast_mut(),
        std::ptr::null_mut(),
    ];
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let (mut pid, mut status) = (0, 0);
    // SAFETY: the path and the arguments are NUL-terminated strings, the list of them ends with NULL, and nothing changes
    // the environment meanwhile; null actions and attributes mean none.
    let result = unsafe {
        let image = c"/proc/self/exe".as_ptr();
        let (actions, attributes) = (std::ptr::null(), std::ptr::null());
        libc::posix_spawn(
            &raw mut pid,
            image,
            actions,
            attributes,
            arguments.as_ptr(),
            environ,
        )
    };
    assert_eq!(result, 0, "posix_spawn");
    // SAFETY: the status is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "the image returned at once");
}
