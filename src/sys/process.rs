//! Starting the own image again, and waiting for and signalling what was started.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{io, ptr};

use super::exit::ExitStatus;

/// The running image as a path; the kernel resolves it to the very inode that runs, even if it was replaced since.
pub(crate) const OWN_IMAGE_PATH: &str = "/proc/self/exe";
const OWN_IMAGE: &CStr = c"/proc/self/exe";

/// The first descriptor number that is not one of the three standard streams.
pub(crate) const FIRST_FREE_FD: RawFd = 3;

pub(crate) const SIGTERM: i32 = libc::SIGTERM;
pub(crate) const SIGKILL: i32 = libc::SIGKILL;

/// A limit of the system that a start can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Descriptors,
    Processes,
}

/// The limit behind an error of the operating system.
pub(crate) fn limit_met(cause: &io::Error) -> Option<Limit> {
    match cause.raw_os_error() {
        Some(libc::EMFILE) => Some(Limit::Descriptors),
        Some(libc::EAGAIN) => Some(Limit::Processes),
        _ => None,
    }
}

/// What to start; everything is built beforehand, so that nothing allocates between `vfork` and `exec`.
#[derive(Debug)]
pub(crate) struct SpawnSpec<'a> {
    pub(crate) argv: &'a [CString],
    pub(crate) env: &'a [CString],
    pub(crate) cwd: Option<&'a CStr>,
    /// What becomes standard input, output and error; `None` inherits.
    pub(crate) stdio: [Option<BorrowedFd<'a>>; 3],
    /// Descriptors, none of them a standard stream, that the child gets under the same numbers.
    pub(crate) inherit: &'a [RawFd],
    /// Whether the child leads a new group of its own, away from the terminal's signals.
    pub(crate) set_sid: bool,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Runs the own image as a new process.
///
/// `posix_spawn` shares the parent's memory until `exec`, so its cost does not grow with the parent, and the C library
/// calls nothing in the child that another thread of the parent could have locked.
pub(crate) fn spawn(spec: &SpawnSpec<'_>) -> io::Result<Spawned> {
    let mut actions = FileActions::new()?;
    if let Some(cwd) = spec.cwd {
        actions.chdir(cwd)?;
    }
    for (target, source) in (0..).zip(&spec.stdio) {
        if let Some(source) = source {
            actions.dup2(source.as_raw_fd(), target)?;
        }
    }
    for &fd in spec.inherit {
        actions.dup2(fd, fd)?; // onto itself: clears close-on-exec
    }
    let attributes = Attributes::new(spec.set_sid)?;
    let (argv, env) = (pointers(spec.argv), pointers(spec.env));
    let mut pid = 0;
    // SAFETY: all pointers are valid for the call: a NUL-terminated path, initialised actions and attributes, and two
    // NULL-terminated arrays of NUL-terminated strings that `spec` keeps alive.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            OWN_IMAGE.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            env.as_ptr(),
        )
    })?;
    adopt(pid)
}

/// A descriptor of a process: readable once it has ended.
pub(crate) fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor (close-on-exec by definition) or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Takes the exit status of an own child that has ended; `None` while it runs.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let (fd, flags) = (
        pidfd.as_raw_fd() as libc::id_t,
        libc::WEXITED | libc::WNOHANG,
    );
    // SAFETY: `info` is writable memory for one siginfo_t.
    while unsafe { libc::waitid(libc::P_PIDFD, fd, info.as_mut_ptr(), flags) } < 0 {
        ignore_interruption()?;
    }
    // SAFETY: zeroed above, which is a valid siginfo_t, and perhaps filled by waitid; the union's members for a child
    // are plain integers.
    let (pid, code, status) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    Ok((pid != 0).then(|| ExitStatus::from_wait(code, status)))
}

/// Sends a signal to exactly the process that the descriptor stands for; true unless it has ended and been reaped.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<bool> {
    let (fd, no_info) = (pidfd.as_raw_fd(), ptr::null::<libc::siginfo_t>());
    // SAFETY: the descriptor is open, and a null siginfo asks the kernel to fill in its own.
    if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, no_info, 0) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        gone if matches!(gone.raw_os_error(), Some(libc::ESRCH | libc::EBADF)) => Ok(false),
        cause => Err(cause),
    }
}

/// A close-on-exec copy of a descriptor that this process may have been started with.
pub(crate) fn copy_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on a mere number: it fails if nothing is open there.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_FREE_FD) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Takes over a descriptor that this process was started with; it is closed on drop and by `exec`.
///
/// # Safety
///
/// `fd` came from the parent for the caller's use, and nobody else takes it over.
pub(crate) unsafe fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on a mere number: it fails if nothing is open there.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, as the call above has shown, and the caller's alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends the calling process as `kill -9` would.
pub(crate) fn kill_self() -> ! {
    // SAFETY: kill and getpid have no memory preconditions.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    std::process::abort() // not reached: SIGKILL cannot be blocked
}

/// The identity of the process that started this one, or of whoever adopted it since.
pub(crate) fn parent_pid() -> i32 {
    // SAFETY: getppid has no preconditions and cannot fail.
    unsafe { libc::getppid() }
}

/// What the runtime of std does before `main`, for a process that takes its course earlier.
pub(crate) fn like_before_main() {
    // SAFETY: SIG_IGN is a valid disposition, and no handler of ours is replaced.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Names the calling thread in `ps` and debuggers; the kernel keeps 15 bytes.
pub(crate) fn name_thread(name: &CStr) {
    // SAFETY: PR_SET_NAME reads a NUL-terminated string and cuts it itself.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Whether this program runs with more rights than whoever started it: then its environment is not to be believed.
pub(crate) fn is_privileged() -> bool {
    const AT_SECURE: libc::c_ulong = 23;
    // SAFETY: getauxval reads the vector that the kernel left for the process.
    unsafe { libc::getauxval(AT_SECURE) != 0 }
}

/// Runs `handler` when the process ends normally.
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: the handler is a function that lives as long as the image. If the table is full, nothing is registered,
    // and the leash still ends the children.
    unsafe { libc::atexit(handler) };
}

/// Copies the calling process.
///
/// # Safety
///
/// The process has a single thread, and the caller answers for what it means to have everything twice.
pub(crate) unsafe fn fork() -> io::Result<Option<Spawned>> {
    // SAFETY: with a single thread no lock is held by a thread that the copy lacks; the rest is the caller's promise.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(None),
        1.. => adopt(pid).map(Some),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the calling process without running what was registered for its exit.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// How many threads the calling process has.
pub(crate) fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Takes a child under its descriptor. Its pid cannot be another process's unless something else reaps our children.
fn adopt(pid: i32) -> io::Result<Spawned> {
    let pidfd = open_pidfd(pid).or_else(|cause| match cause.raw_os_error() {
        Some(libc::ESRCH) => ended_already(),
        _ => Err(cause),
    });
    if pidfd.is_err() {
        abandon(pid);
    }
    Ok(Spawned { pid, pidfd: pidfd? })
}

/// Stands for a child that ended and was reaped, by an ignored `SIGCHLD` for instance, before we could look: always
/// readable as a pidfd would be, and good for nothing else.
#[cold]
fn ended_already() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes two integers; a descriptor that it returns is new and ours.
    unsafe {
        let fd = libc::eventfd(1, libc::EFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Stops a child, and returns when it stands still, or has ended.
pub(crate) fn stop(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    if !signal(pidfd, libc::SIGSTOP)? {
        return Ok(());
    }
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let (fd, states) = (
        pidfd.as_raw_fd() as libc::id_t,
        libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT,
    );
    // SAFETY: `info` is writable memory for one siginfo_t; the child is left to whoever reaps it.
    while unsafe { libc::waitid(libc::P_PIDFD, fd, info.as_mut_ptr(), states) } < 0 {
        ignore_interruption()?;
    }
    Ok(())
}

/// Lets a stopped child go on.
pub(crate) fn go_on(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    signal(pidfd, libc::SIGCONT).map(drop)
}

/// Has allocations of this process fail by which its private memory would exceed so many bytes.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes the structure, which lives as long as the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // What somebody else has set is lowered, never raised.
    limit.rlim_max = limit.rlim_max.min(bytes);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads the structure, which lives as long as the call.
    match unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Kills and reaps a child that cannot be handed to anyone.
#[cold]
fn abandon(pid: i32) {
    // SAFETY: `pid` is a child that nobody has reaped yet; a null status is allowed.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, ptr::null_mut(), 0);
    }
}

/// What `posix_spawn` does in the child to its descriptors, in order.
struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initialises the object it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call above.
        Ok(FileActions(unsafe { actions.assume_init() }))
    }

    fn dup2(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }

    fn chdir(&mut self, path: &CStr) -> io::Result<()> {
        // SAFETY: the actions are initialised; the path is NUL-terminated and copied by the call.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, path.as_ptr()) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Signals as a fresh program expects them: nothing blocked, dispositions back to the default.
///
/// Ignored job-control signals stay ignored, so that the children of a program under `nohup` or in a shell's
/// background behave as it does.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    const KEPT: [i32; 6] = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];

    fn new(set_sid: bool) -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the call initialises the object it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call above.
        let mut attributes = Attributes(unsafe { attributes.assume_init() });
        attributes.reset_signals()?;
        let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        if set_sid {
            flags |= libc::c_int::from(libc::POSIX_SPAWN_SETSID);
        }
        // SAFETY: the attributes are initialised; all flags fit a short.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as _) })?;
        Ok(attributes)
    }

    fn reset_signals(&mut self) -> io::Result<()> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset and sigfillset initialise the set they are given; the other calls get initialised sets
        // and attributes and valid signal numbers.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(
                &raw mut self.0,
                set.as_ptr(),
            ))?;
            libc::sigfillset(set.as_mut_ptr());
            for signal in Self::KEPT {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            check(libc::posix_spawnattr_setsigdefault(
                &raw mut self.0,
                set.as_ptr(),
            ))
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    let strings = strings.iter().map(|s| s.as_ptr().cast_mut());
    strings.chain([ptr::null_mut()]).collect()
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn ignore_interruption() -> io::Result<()> {
    match io::Error::last_os_error() {
        e if e.kind() == io::ErrorKind::Interrupted => Ok(()),
        e => Err(e),
    }
}
