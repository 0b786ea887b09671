//! Everything that can be said about a process before it starts.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::{PipeReader, PipeWriter, Read as _};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::OnceLock;

use super::boot;
use super::child::{Child, Start};
use super::current;
use super::entry::{self, Entry};
use super::family;
use super::handed::Travelling;
use super::launch::{Launch, Order, above_stdio};
use super::spawn::Process;
use super::stdio::{Stdio, Stream};
use crate::message::{Message, Packed};
use crate::sys::identity::random_u64;
use crate::sys::image::Image;
use crate::sys::process::{self, SpawnSpec, Spawned};
use crate::{Error, ErrorKind, Result};

/// Says how a process is to run before it starts; [`Process::builder`] gives one.
///
/// # Examples
///
/// ```
/// use multiproc::Process;
///
/// fn where_am_i() -> std::io::Result<String> {
///     Ok(std::env::current_dir()?.display().to_string())
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let process = Process::builder().name("scout").cwd("/").spawn(where_am_i, ())?;
/// assert_eq!(process.name(), "scout");
/// assert_eq!(process.join()?, "/");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing runs before `spawn`"]
pub struct Builder {
    name: Option<String>,
    cwd: Option<PathBuf>,
    env_cleared: bool,
    /// `None` removes.
    env: BTreeMap<OsString, Option<OsString>>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    daemon: bool,
    detached: bool,
    memory: Option<NonZeroU64>,
}

impl Builder {
    /// The name that error texts, `ps` (its first 15 bytes) and [`current_process`](super::current_process) show.
    ///
    /// Without one it is `Process-1`, `Process-2`, ...; the children of `Process-1` are `Process-1:1`, ...
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The directory in which it starts; this process's by default.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// Sets a variable of its environment, which is a copy of this process's otherwise.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable from its environment.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), None);
        self
    }

    /// Starts it with an empty environment; what [`env`](Builder::env) sets afterwards stays.
    pub fn env_clear(mut self) -> Self {
        self.env_cleared = true;
        self.env.clear();
        self
    }

    /// What it gets as standard input; this process's by default.
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdin = stdio.into();
        self
    }

    /// What it gets as standard output; this process's by default.
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdout = stdio.into();
        self
    }

    /// What it gets as standard error; this process's by default.
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stderr = stdio.into();
        self
    }

    /// Makes it a daemon: when this process ends normally, a daemon is terminated (`SIGTERM`, and `SIGKILL` a second
    /// later), where other children are waited for. When this process is killed, all of them end alike.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Lets it go on when this process ends, however that ends: it is not waited for, terminated or killed. It leads
    /// a group of its own, so that Ctrl-C at this process's terminal does not reach it either.
    pub fn detached(mut self, detached: bool) -> Self {
        self.detached = detached;
        self
    }

    /// The most bytes of memory that it may have for itself: heap, stacks of threads, private mappings (`RLIMIT_DATA`).
    ///
    /// Memory that it shares with others does not count: queues, messages, [contexts](crate::Context). An allocation that would
    /// exceed it fails: `try_reserve` returns an error, and `Vec::push` and its like end the process by `SIGABRT`. The
    /// runtime's own needs are less than a mebibyte. Its children inherit the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiproc::Process;
    ///
    /// fn has_room_for(bytes: u64) -> bool {
    ///     Vec::<u8>::new().try_reserve_exact(bytes as usize).is_ok()
    /// }
    ///
    /// # fn main() -> multiproc::Result<()> {
    /// # multiproc::init();
    /// let limited = || Process::builder().memory_limit(64 << 20);
    /// assert!(limited().spawn(has_room_for, (32 << 20,))?.join()?);
    /// assert!(!limited().spawn(has_room_for, (100 << 20,))?.join()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory = Some(NonZeroU64::new(bytes).unwrap_or(NonZeroU64::MIN));
        self
    }

    /// Starts the process; see [`Process::spawn`].
    ///
    /// # Errors
    ///
    /// As [`Process::spawn`], and `InvalidInput` when a name or a value holds a NUL character or a variable's name is
    /// empty or holds `=`.
    pub fn spawn<F, Args, Kind>(self, entry: F, args: Args) -> Result<Process<F::Return>>
    where
        F: Entry<Args, Kind>,
        Args: Message,
    {
        let entry = entry::name_of(entry)?;
        let (packed, travelling) = Travelling::collect(|| Packed::new(&args));
        let pipe = travelling.has_roles().then(pipe).transpose()?;
        let (arrived, awaited) = pipe.unzip();
        let process = self.start(entry, packed?.bytes(), travelling, awaited);
        let process = process.map_err(hint_at_limits)?;
        if let Some(mut arrived) = arrived {
            // A role in the arguments must not lapse before the child has taken it.
            let _ = arrived.read_to_end(&mut Vec::new()); // ends when the child closes its end, or ends itself
        }
        drop(args);
        Ok(process)
    }

    fn start<R>(
        self,
        entry: u64,
        args: &[u8],
        travelling: Travelling,
        awaited: Option<PipeWriter>,
    ) -> Result<Process<R>> {
        boot::check_ready()?;
        family::tidy();
        let leash = if self.detached {
            None
        } else {
            Some(family::leash()?)
        };
        let lent = travelling.lend()?;
        let awaited = awaited.map(|end| above_stdio(end.into())).transpose()?;
        let order = Order {
            leash: leash.as_ref().map(|leash| leash.read_end().as_raw_fd()),
            awaited: awaited.as_ref().map(AsRawFd::as_raw_fd),
            inherited: lent.iter().map(|(id, fd)| (*id, fd.as_raw_fd())).collect(),
            ..self.order(entry)?
        };
        let launch = Launch::create(&order, args)?;
        let handed = travelling.keep(order.nonce);
        let streams = [
            self.stdin.open(true)?,
            self.stdout.open(false)?,
            self.stderr.open(false)?,
        ];
        let spawned = self.execute(&order, &launch, &streams)?;
        let child = Child::new(Start {
            spawned,
            name: order.name,
            daemon: self.daemon,
            detached: self.detached,
            launch,
            handed,
        });
        family::add(&child);
        Ok(Process::new(child, streams.map(|Stream { ours, .. }| ours)))
    }

    fn execute(&self, order: &Order, launch: &Launch, streams: &[Stream; 3]) -> Result<Spawned> {
        let (name, value) = boot::variable(launch.number(), order.nonce);
        let env = self.environment(name, value)?;
        let cwd = self.cwd.as_ref().map(|dir| c_string(dir.as_os_str()));
        let mut inherit = vec![launch.number()];
        inherit.extend(order.leash.into_iter().chain(order.awaited));
        inherit.extend(order.inherited.iter().map(|&(_, fd)| fd));
        let spawned = process::spawn(&SpawnSpec {
            argv: arguments(),
            env: &env,
            cwd: cwd.transpose()?.as_deref(),
            stdio: streams
                .each_ref()
                .map(|s| s.theirs.as_ref().map(AsFd::as_fd)),
            inherit: &inherit,
            set_sid: self.detached,
        });
        spawned.map_err(|cause| self.not_started(&order.name, cause))
    }

    /// The order, but for the descriptors.
    fn order(&self, entry: u64) -> Result<Order> {
        let image =
            Image::own().map_err(|cause| Error::os("cannot examine the own image", cause))?;
        let me = current::current_process();
        let lineage = current::next_lineage();
        Ok(Order {
            nonce: random_u64(),
            entry,
            build: *image.id(),
            parent_pid: me.pid(),
            parent_name: me.name().to_owned(),
            leash: None,
            awaited: None,
            daemon: self.daemon,
            memory: self.memory,
            name: match &self.name {
                Some(name) => name.clone(),
                None => format!("Process-{lineage}"),
            },
            lineage,
            inherited: Vec::new(),
        })
    }

    /// The whole environment of the child, the variable that makes it one included.
    fn environment(&self, name: &str, value: String) -> Result<Vec<CString>> {
        let inherited = (!self.env_cleared).then(std::env::vars_os);
        let inherited = inherited.into_iter().flatten();
        let mut env = Vec::with_capacity(64);
        for (name, value) in inherited.filter(|(name, _)| !self.env.contains_key(name)) {
            if !boot::is_reserved(&name) {
                env.push(assignment(name, &value)?);
            }
        }
        for (name, value) in &self.env {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'=') {
                let text = format!("{name:?} cannot be the name of a variable");
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            if let (Some(value), false) = (value, boot::is_reserved(name)) {
                env.push(assignment(name.clone(), value)?);
            }
        }
        env.push(assignment(name.into(), value.as_ref())?);
        Ok(env)
    }

    fn not_started(&self, name: &str, cause: std::io::Error) -> Error {
        let wanted = match &self.cwd {
            Some(cwd) => format!("cannot start process {name:?} in {}", cwd.display()),
            None => format!("cannot start process {name:?}"),
        };
        Error::os(wanted, cause)
    }
}

/// Says what to do where the system's limits are met.
fn hint_at_limits(error: Error) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    let hint = match cause.and_then(process::limit_met) {
        Some(process::Limit::Descriptors) => "each child takes two descriptors; raise `ulimit -n`",
        Some(process::Limit::Processes) => "raise `ulimit -u`, or pids.max of the control group",
        None => return error,
    };
    Error::new(error.kind(), format!("{error}; {hint}")).with_source(error)
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    std::io::pipe().map_err(|cause| Error::os("cannot make a pipe for a process", cause))
}

/// The arguments with which this program was started; its children get the same.
fn arguments() -> &'static [CString] {
    static ARGUMENTS: OnceLock<Vec<CString>> = OnceLock::new();
    ARGUMENTS.get_or_init(|| {
        let given = std::env::args_os().map(OsString::into_vec);
        let mut given: Vec<_> = given.filter_map(|arg| CString::new(arg).ok()).collect();
        if given.is_empty() {
            given.push(c"multiproc".into()); // programs may rely on having a name
        }
        given
    })
}

fn assignment(name: OsString, value: &OsStr) -> Result<CString> {
    let mut text = name;
    text.push("=");
    text.push(value);
    c_string(&text)
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        let text = format!("{text:?} holds a NUL character");
        Error::new(ErrorKind::InvalidInput, text)
    })
}
