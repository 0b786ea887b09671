//! How the end of a process reaches its children at once, however it ended.
//!
//! The leash is a pipe. Its write end exists in the parent alone, so the kernel closes it when the parent ends, by
//! `SIGKILL` too. A child asks for `SIGKILL` when that happens: `F_SETSIG` and `O_ASYNC` on the read end, no thread
//! and no polling. `PR_SET_PDEATHSIG` would follow the *thread* that spawned the child instead of the process.
//!
//! A copy that the parent makes of itself with `fork`, without `exec`, holds the write end as well: the children then live
//! as long as the last of the two. Copies made by this library let go of it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// `fcntl` command: which signal reports readiness; the libc package has it for some targets only.
const F_SETSIG: libc::c_int = 10;

/// The parent's side: keeps its children alive for as long as it exists.
#[derive(Debug)]
pub(crate) struct Leash {
    read: OwnedFd,
    _write: OwnedFd,
}

impl Leash {
    /// Makes a leash; both ends are closed by `exec`.
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = io::pipe()?;
        let mut read = OwnedFd::from(read);
        if read.as_raw_fd() < super::process::FIRST_FREE_FD {
            read = read.try_clone()?; // a copy never gets the number of a standard stream
        }
        Ok(Leash {
            read,
            _write: write.into(),
        })
    }

    /// The end that children hold; not the number of a standard stream.
    pub(crate) fn read_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// The child's side: ties the calling process to the leash for the rest of its life, so that it is killed when the holder
/// of the other end is gone. Never returns if that is so already.
///
/// The end is re-opened first: the signal belongs to the open file description, which an inherited descriptor shares with
/// the parent and all siblings.
pub(crate) fn tie(inherited: BorrowedFd<'_>) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let fd = read.as_raw_fd();
    // SAFETY: fcntl with integer arguments on a descriptor that we own; getpid cannot fail.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETOWN, libc::getpid()))?;
        check(libc::fcntl(fd, F_SETSIG, libc::SIGKILL))?;
        check(libc::fcntl(
            fd,
            libc::F_SETFL,
            libc::O_NONBLOCK | libc::O_ASYNC,
        ))?;
    }
    // Armed first and looked at second: whichever side of the look the holder ends on, it is noticed.
    if hung_up(fd) {
        super::process::kill_self();
    }
    let _ = read.into_raw_fd(); // open until the end, exit handlers included
    Ok(())
}

fn hung_up(fd: libc::c_int) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: 0,
        revents: 0,
    };
    // SAFETY: one valid pollfd is passed, with its count; a zero time-out never blocks.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents & libc::POLLHUP != 0
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
