//! A copy of the calling process, for single-threaded programs.

use std::io::Write as _;

use super::boot;
use super::child::{Child, Start};
use super::current;
use super::family;
use super::handed::Handed;
use super::launch::{Launch, Order, Progress};
use super::report::Report;
use super::spawn::Process;
use crate::message::{Message, Packed};
use crate::sys::identity::random_u64;
use crate::sys::image::BuildId;
use crate::sys::{leash, process};
use crate::{Error, ErrorKind, Result};

/// Runs a closure in a copy of the calling process, made by `fork`.
///
/// Unlike an entry of [`Process::spawn`], the closure may capture anything: it finds all of the parent's memory as it was.
/// The price: only a process with a single thread can be copied (another thread could hold a lock, the allocator's for
/// one, that nobody in the copy would ever unlock), and the cost grows with the memory in use (33 ms per GiB where
/// `spawn` takes 0.4 ms whatever the size).
///
/// The copy ends with its parent, as a spawned child does. When the closure is done the copy ends without running what was
/// registered for the exit of the program; the standard output of std is flushed.
///
/// # Errors
///
/// `Threads` when the calling process has more than one thread; else as [`Process::spawn`].
///
/// # Safety
///
/// Everything that the parent owns exists twice afterwards. The caller makes sure that nothing is alive whose owner must
/// be the only one and that reaches beyond the memory of the process: a guard of a lock, a message claimed or taken but
/// not yet released. What the closure does not use, the copy never drops.
///
/// # Examples
///
/// ```
/// use multiproc::{ErrorKind, process};
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let table: Vec<u64> = (0..1000).collect();
/// // SAFETY: no shared object is in use.
/// match unsafe { process::fork(|| table.iter().sum::<u64>()) } {
///     Ok(child) => assert_eq!(child.join()?, 499_500),
///     Err(error) => assert_eq!(error.kind(), ErrorKind::Threads),
/// }
/// # Ok(())
/// # }
/// ```
pub unsafe fn fork<R: Message>(body: impl FnOnce() -> R) -> Result<Process<R>> {
    let failed = |cause| Error::os("cannot copy the process", cause);
    let threads = process::thread_count().map_err(failed)?;
    if threads > 1 {
        let text =
            format!("a process with {threads} threads cannot be forked safely; use Process::spawn");
        return Err(Error::new(ErrorKind::Threads, text));
    }
    family::tidy();
    let order = order();
    let launch = Launch::create(&order, &[])?;
    let held = family::leash()?;
    // What is buffered now would be written by both.
    let _ = std::io::stdout().flush();
    // SAFETY: there is one thread, as counted above; the rest is the caller's promise.
    let Some(spawned) = (unsafe { process::fork() }).map_err(failed)? else {
        let tied = leash::tie(held.read_end());
        drop(held); // the write end as well: only the original's death must count
        become_copy(&order, &launch, tied, body);
    };
    let child = Child::new(Start {
        spawned,
        name: order.name,
        daemon: false,
        detached: false,
        launch,
        handed: Handed::default(),
    });
    family::add(&child);
    Ok(Process::new(child, [None, None, None]))
}

fn order() -> Order {
    let me = current::current_process();
    let lineage = current::next_lineage();
    Order {
        nonce: random_u64(),
        entry: 0,
        build: BuildId::from_bytes([0; BuildId::LEN]),
        parent_pid: me.pid(),
        parent_name: me.name().to_owned(),
        leash: None,
        awaited: None,
        memory: None,
        daemon: false,
        name: format!("Process-{lineage}"),
        lineage,
        inherited: Vec::new(),
    }
}

/// The whole life of the copy.
fn become_copy<R: Message>(
    order: &Order,
    launch: &Launch,
    tied: std::io::Result<()>,
    body: impl FnOnce() -> R,
) -> ! {
    current::become_child(order);
    family::disown();
    launch.note(Progress::Attached);
    let report = match tied {
        Ok(()) => boot::catch(&order.name, launch, || match Packed::new(&body()) {
            Ok(packed) => Report::Returned(packed),
            Err(error) => Report::of_error(&error),
        }),
        Err(cause) => Report::of_error(&Error::os("cannot tie the process to its parent", cause)),
    };
    let code = boot::deliver(launch, &report);
    family::wait_for_all();
    let _ = std::io::stdout().flush();
    process::exit_now(code)
}
