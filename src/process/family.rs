//! The children of this process, and what becomes of them when it ends.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::time::Duration;

use super::child::Child;
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::leash::Leash;
use crate::sys::process;
use crate::{Error, Result};

/// How long a daemon has after `SIGTERM` when this process ends, before `SIGKILL`.
const GRACE: Duration = Duration::from_secs(1);

/// Children that have not been reaped, and the leash that ties them to this process.
struct Family {
    /// Whose children these are: a copy made by `fork` has the list but not the children.
    pid: u32,
    leash: Option<Arc<Leash>>,
    children: Vec<Child>,
    busy: Vec<Weak<dyn Finish>>,
}

/// Something that children of this process work for, and that is brought to its end before they are waited for.
pub(crate) trait Finish: Send + Sync {
    /// Waits until all is done.
    fn finish(&self);
}

static FAMILY: Mutex<Family> = Mutex::new(Family {
    pid: 0,
    leash: None,
    children: Vec::new(),
    busy: Vec::new(),
});

fn family() -> MutexGuard<'static, Family> {
    let mut family = FAMILY.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = std::process::id();
    if family.pid != pid {
        // Closing the inherited leash lets go of children that are another process's.
        family.children.clear();
        family.busy.clear();
        family.leash = None;
        family.pid = pid;
    }
    family
}

/// All children that still run, those whose [`Process`](super::Process) was dropped included.
///
/// Children that have ended are reaped on the way.
///
/// # Examples
///
/// ```
/// use multiproc::{Process, active_children};
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let process = Process::spawn(std::thread::park, ())?;
/// assert_eq!(active_children()[0].pid(), process.pid());
/// process.kill()?;
/// process.child().wait()?;
/// assert!(active_children().is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn active_children() -> Vec<Child> {
    let mut children = family().children.clone();
    children.retain(Child::is_alive);
    children
}

/// The leash that ties children to this process.
pub(super) fn leash() -> Result<Arc<Leash>> {
    let mut family = family();
    if family.leash.is_none() {
        let failed = |cause| {
            Error::os(
                "cannot make the pipe that ties children to this process",
                cause,
            )
        };
        family.leash = Some(Arc::new(Leash::new().map_err(failed)?));
    }
    Ok(family.leash.clone().expect("made just now"))
}

/// Adds a child that was just started.
pub(super) fn add(child: &Child) {
    family().children.push(child.clone());
    wait_at_exit();
}

/// Has this finished before the end of this process, if it is still there then.
pub(crate) fn finish_at_exit(what: Weak<dyn Finish>) {
    let busy = &mut family().busy;
    busy.retain(|other| other.strong_count() > 0);
    busy.push(what);
}

/// Removes a child that was reaped.
pub(super) fn forget(child: &Child) {
    family().children.retain(|other| !other.is(child));
}

/// Reaps children that have ended and that nobody else would wait for, and lets go of what was kept for any.
pub(super) fn tidy() {
    // Looked at before it is cloned, as the clone counts as somebody who knows it.
    let look = |child: &Child| (child.is_abandoned(), child.clone());
    let children: Vec<_> = family().children.iter().map(look).collect();
    for (abandoned, child) in children {
        if abandoned {
            let _ = child.wait_until(Deadline::NOW); // its status interests nobody
        } else {
            child.release_handed();
        }
    }
}

/// Registers, once, what Python does at the end of a program: daemons are terminated, the others waited for.
fn wait_at_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        OWNER.store(std::process::id(), Relaxed); // read by this very process only
        process::at_exit(end_with_children);
    });
}

static OWNER: AtomicU32 = AtomicU32::new(0);

extern "C" fn end_with_children() {
    if OWNER.load(Relaxed) == std::process::id() {
        wait_for_all(); // in a forked copy these are not its children
    }
}

/// Ends daemons and waits for the other children. Errors have nobody left to hear them: a child that cannot be waited for
/// is left to the leash.
pub(super) fn wait_for_all() {
    let busy = std::mem::take(&mut family().busy);
    busy.iter()
        .filter_map(Weak::upgrade)
        .for_each(|what| what.finish());
    let mut children = family().children.clone();
    children.retain(|child| !child.is_detached());
    let (daemons, others): (Vec<_>, Vec<_>) = children.into_iter().partition(Child::is_daemon);
    for daemon in &daemons {
        let _ = daemon.terminate();
    }
    let deadline = Deadline::after(GRACE);
    for daemon in &daemons {
        if let Ok(None) = daemon.wait_until(deadline) {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
    for child in &others {
        let _ = child.wait();
    }
}

/// In a forked copy: lets go of the children of the original and of its leash.
pub(super) fn disown() {
    drop(family());
}
