//! Who the calling process is: its name, its place in the family, its parent.

use std::sync::{Arc, Mutex, PoisonError};

use super::launch::Order;
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sys::process;

/// The calling process, as [`current_process`] tells of it.
///
/// # Examples
///
/// ```
/// let me = multiproc::current_process();
/// assert_eq!(me.pid(), std::process::id() as i32);
/// assert_eq!(me.name(), "MainProcess");
/// ```
#[derive(Clone, Debug)]
pub struct CurrentProcess {
    me: Arc<Me>,
}

impl CurrentProcess {
    /// The name given to the builder, or one like `Process-1:2` after its place in the family.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.me.name
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        std::process::id() as i32
    }

    /// Whether it was started as a daemon.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.me.daemon
    }
}

/// The process that started the calling one, as [`parent_process`] tells of it.
#[derive(Clone, Debug)]
pub struct ParentProcess {
    pid: i32,
    name: String,
}

impl ParentProcess {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it still runs; matters to detached processes only, as others end with their parent.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // The kernel gives an orphan another parent before the old one's pid can be used again.
        process::parent_pid() == self.pid
    }
}

/// The calling process.
#[must_use]
pub fn current_process() -> CurrentProcess {
    CurrentProcess { me: me() }
}

/// The process that started the calling one with [`Process::spawn`](super::Process::spawn); `None` in a program that
/// was started otherwise.
///
/// # Examples
///
/// ```
/// use multiproc::{Process, parent_process};
///
/// fn parents_pid() -> Option<i32> {
///     parent_process().map(|parent| parent.pid())
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// assert!(parent_process().is_none());
/// let told = Process::spawn(parents_pid, ())?.join()?;
/// assert_eq!(told, Some(std::process::id() as i32));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn parent_process() -> Option<ParentProcess> {
    me().parent.clone()
}

#[derive(Debug)]
struct Me {
    name: String,
    lineage: String,
    parent: Option<ParentProcess>,
    daemon: bool,
    born: AtomicU32,
}

static ME: Mutex<Option<Arc<Me>>> = Mutex::new(None);

fn me() -> Arc<Me> {
    let mut me = ME.lock().unwrap_or_else(PoisonError::into_inner);
    let main = || {
        Arc::new(Me {
            name: "MainProcess".into(),
            lineage: String::new(),
            parent: None,
            daemon: false,
            born: AtomicU32::new(0),
        })
    };
    me.get_or_insert_with(main).clone()
}

/// Makes the calling process the one that was ordered.
pub(super) fn become_child(order: &Order) {
    let me = Me {
        name: order.name.clone(),
        lineage: order.lineage.clone(),
        parent: Some(ParentProcess {
            pid: order.parent_pid,
            name: order.parent_name.clone(),
        }),
        daemon: order.daemon,
        born: AtomicU32::new(0),
    };
    *ME.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(me));
}

/// The place in the family of the next child: `1`, `2`, ... in the first program, `1:1`, `1:2`, ... in its first child.
pub(super) fn next_lineage() -> String {
    let me = me();
    let n = me.born.fetch_add(1, Relaxed) + 1; // only unique: nothing is ordered by it
    match me.lineage.as_str() {
        "" => n.to_string(),
        lineage => format!("{lineage}:{n}"),
    }
}
