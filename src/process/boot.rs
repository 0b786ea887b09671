//! How a process finds out that it is a child, before the program's own code runs.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use super::arrival::{self, Arrival};
use super::current;
use super::entry::Trampoline;
use super::failure::Panic;
use super::launch::{Launch, Order, Progress};
use super::report::Report;
use crate::message::Packed;
use crate::sys::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sys::image::Image;
use crate::sys::leash;
use crate::sys::membarrier;
use crate::sys::process;
use crate::{Error, ErrorKind, Result};

/// Names the inherited launch block: its descriptor and its nonce, as `3:0123456789abcdef`.
const VARIABLE: &str = "MULTIPROC_LAUNCH";

/// Whether this program takes its children's course when it is started as one.
static READY: AtomicBool = AtomicBool::new(false);

/// Lets this program start children: call it first in `main`.
///
/// A child runs the same program. When `main` of a child reaches this line, the child's entry function runs instead of
/// the rest of `main`, and `init` does not return. In any other process it does next to nothing. What `main` does
/// before this line, every child does too.
///
/// The feature `constructor`, on by default, does the same just before `main`, so that tests, examples and programs
/// without this line work. Without both, [`Process::spawn`](super::Process::spawn) returns
/// [`NotInitialised`](crate::ErrorKind::NotInitialised).
///
/// # Examples
///
/// ```
/// use multiproc::Process;
///
/// fn answer() -> u64 {
///     42
/// }
///
/// fn main() -> multiproc::Result<()> {
///     multiproc::init();
///     assert_eq!(Process::spawn(answer, ())?.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    enter();
}

/// Runs before `main`, in every process of the program: it must stay tiny.
#[cfg(feature = "constructor")]
#[used]
// SAFETY: the section holds pointers to functions that take what C passes them and may ignore it; this one runs in the
// only thread, with the C library and the environment in working order.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        enter();
    }
    constructor
};

/// Fails unless this program can have children.
pub(super) fn check_ready() -> Result<()> {
    if READY.load(Relaxed) {
        return Ok(());
    }
    let text = "this program would start itself again and again: call multiproc::init() in the first line of main, or \
                build with the feature `constructor`";
    Err(Error::new(ErrorKind::NotInitialised, text))
}

/// Runs the ordered entry if this process is a child; returns if it is not.
pub(super) fn enter() {
    if READY.swap(true, Relaxed) {
        return; // relaxed: says only that this function was called, and hands nothing over
    }
    membarrier::register(); // a thousand times as fast now as beside other threads
    let Some(given) = std::env::var_os(VARIABLE) else {
        return;
    };
    let given = given.to_str().and_then(parse);
    if let Some((launch, order, args)) = given.and_then(|(fd, nonce)| recognise(fd, nonce)) {
        let code = serve(launch, &order, args);
        std::process::exit(code);
    }
}

/// The variable for a child that inherits the launch block as `fd`.
pub(super) fn variable(fd: RawFd, nonce: u64) -> (&'static str, String) {
    (VARIABLE, format!("{fd}:{nonce:016x}"))
}

/// Whether a variable of the environment is ours alone.
pub(super) fn is_reserved(name: &std::ffi::OsStr) -> bool {
    name == VARIABLE
}

fn parse(value: &str) -> Option<(RawFd, u64)> {
    let (fd, nonce) = value.split_once(':')?;
    Some((fd.parse().ok()?, u64::from_str_radix(nonce, 16).ok()?))
}

/// Takes the launch block, if the descriptor is one with this nonce. Otherwise the variable is a stray one, perhaps
/// inherited from some ancestor, and means nothing.
fn recognise(fd: RawFd, nonce: u64) -> Option<(Launch, Order, Packed)> {
    if fd < process::FIRST_FREE_FD || process::is_privileged() {
        return None;
    }
    let copy = process::copy_inherited(fd).ok()?;
    let found = Launch::recognise(copy, nonce)?;
    // SAFETY: the block with the nonce of the environment was put there for this process, and only here is it taken.
    drop(unsafe { process::take_inherited(fd) });
    Some(found)
}

/// The whole life of a child; returns its exit code.
fn serve(launch: Launch, order: &Order, args: Packed) -> i32 {
    // SAFETY: nothing else runs yet that could read or write the environment: this is the start of the program.
    unsafe { std::env::remove_var(VARIABLE) };
    process::like_before_main();
    current::become_child(order);
    name_thread(&order.name);
    let report = match prepare(order) {
        Ok(trampoline) => {
            launch.note(Progress::Started);
            run(&launch, order, trampoline, args)
        }
        Err(error) => Report::of_error(&error),
    };
    deliver(&launch, &report)
}

/// Ties the child to its parent, takes over what it inherits, and finds its entry.
fn prepare(order: &Order) -> Result<Trampoline> {
    order.leash.map_or(Ok(()), tie)?;
    order.memory.map_or(Ok(()), limit_memory)?;
    let image = Image::own().map_err(|cause| Error::os("cannot examine the own image", cause))?;
    if image.id() != &order.build {
        let text = "the child runs another build of the program than its parent";
        return Err(Error::new(ErrorKind::WrongVersion, text));
    }
    // SAFETY: the build is the same, and there `name_of` made the offset from a `Trampoline`.
    let trampoline = unsafe { image.function_at(order.entry) };
    trampoline.ok_or_else(|| {
        let text = "the entry function does not lie in the code of the program";
        Error::new(ErrorKind::Corrupt, text)
    })
}

/// Has allocations fail that would give this process more memory of its own.
fn limit_memory(bytes: NonZeroU64) -> Result<()> {
    let limited = process::limit_memory(bytes.get());
    limited.map_err(|cause| Error::os("cannot limit the memory of the process", cause))
}

/// Makes this process end with its parent.
fn tie(fd: RawFd) -> Result<()> {
    let inherited = arrival::take(fd)?;
    leash::tie(inherited.as_fd())
        .map_err(|cause| Error::os("cannot tie the process to its parent", cause))
}

/// Calls the entry; a panic becomes a report.
fn run(launch: &Launch, order: &Order, trampoline: Trampoline, args: Packed) -> Report {
    catch(&order.name, launch, || match Arrival::new(launch, order) {
        Ok(arrival) => trampoline(arrival, args),
        Err(error) => Report::of_error(&error),
    })
}

/// Runs `body`, and makes a report of its panic.
pub(super) fn catch(name: &str, launch: &Launch, body: impl FnOnce() -> Report) -> Report {
    watch_panics(name, launch);
    caught(body).unwrap_or_else(Report::Panicked)
}

/// Runs `body` on the entry's thread of a child; what it panicked with.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let message = text_of(&*payload);
        let seen = LAST_PANIC
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A hook of the program's own may have replaced ours, and what it saw last may be an older panic.
        let seen = seen.filter(|seen| seen.message == message);
        seen.unwrap_or(Panic {
            message,
            location: None,
            backtrace: None,
        })
    })
}

/// Leaves the report; where that fails, the exit code has to say it.
pub(super) fn deliver(launch: &Launch, report: &Report) -> i32 {
    let Err(cause) = launch.commit(report) else {
        return report.exit_code();
    };
    let error = Error::os("cannot leave the result for the parent", cause);
    complain(&format!("multiproc: {error}\n"));
    let report = Report::of_error(&error);
    let _ = launch.commit(&report);
    report.exit_code()
}

/// The latest panic of the entry's thread: only a hook learns where it was.
static LAST_PANIC: Mutex<Option<Panic>> = Mutex::new(None);

/// Tells panics of the entry under the name of the process, and notes them for the parent.
fn watch_panics(name: &str, launch: &Launch) {
    let (before, entry, name) = (
        panic::take_hook(),
        std::thread::current().id(),
        name.to_owned(),
    );
    let copy = if cfg!(panic = "abort") {
        launch.try_clone()
    } else {
        None
    };
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != entry {
            return before(info);
        }
        let panic = describe(info);
        tell(&name, &panic);
        if let Some(launch) = &copy {
            let _ = launch.commit(&Report::Panicked(panic.clone())); // nothing unwinds: now or never
        }
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
    }));
}

fn describe(info: &panic::PanicHookInfo<'_>) -> Panic {
    use std::backtrace::{Backtrace, BacktraceStatus};
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    Panic {
        message: text_of(info.payload()),
        location: info.location().map(ToString::to_string),
        backtrace: captured.then(|| backtrace.to_string()),
    }
}

/// Writes a panic as std does, but with the name of the process: before `main` std knows no name for the thread.
fn tell(name: &str, panic: &Panic) {
    let mut text = format!("process '{name}' (pid {})", std::process::id());
    let location = panic.location.as_deref().unwrap_or("an unknown place");
    let _ = writeln!(text, " panicked at {location}:\n{}", panic.message);
    if let Some(backtrace) = &panic.backtrace {
        let _ = write!(text, "stack backtrace:\n{backtrace}");
    }
    complain(&text);
}

/// Writes to standard error, unless it is closed: `eprintln!` would panic then.
fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What was given to `panic!`, if it was a text.
pub(crate) fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "Box<dyn Any>".into())
}

fn name_thread(name: &str) {
    let bytes: Vec<u8> = name.bytes().filter(|&b| b != 0).collect();
    process::name_thread(&CString::new(bytes).expect("no NUL is left"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::entry;
    use crate::sys::image::BuildId;

    fn order(entry: u64, build: BuildId) -> Order {
        Order {
            nonce: 1,
            entry,
            build,
            parent_pid: 1,
            parent_name: String::new(),
            leash: None,
            awaited: None,
            daemon: false,
            memory: None,
            name: String::new(),
            lineage: String::new(),
            inherited: Vec::new(),
        }
    }

    #[test]
    fn another_build_is_refused() {
        let entry = entry::name_of::<_, (), _>(|| ()).unwrap();
        assert!(prepare(&order(entry, *Image::own().unwrap().id())).is_ok());
        let other = order(entry, BuildId::from_bytes([0; BuildId::LEN]));
        assert_eq!(prepare(&other).unwrap_err().kind(), ErrorKind::WrongVersion);
    }

    #[test]
    fn an_entry_outside_of_the_code_is_refused() {
        let wrong = order(u64::MAX / 2, *Image::own().unwrap().id());
        assert_eq!(prepare(&wrong).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn the_variable_says_where_and_which() {
        let (_, value) = variable(17, 0xff);
        assert_eq!(parse(&value), Some((17, 0xff)));
        for stray in ["", ":", "17", "17:", ":ff", "x:ff", "17:xyz", "17:ff:1"] {
            assert_eq!(parse(stray), None, "{stray}");
        }
    }
}
