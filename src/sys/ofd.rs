//! Byte-range locks of open file descriptions: `fcntl(fd, F_OFD_SETLK | F_OFD_GETLK, struct flock *)`.
//!
//! The kernel drops them when the last descriptor of the description is closed, however the process ended. Two
//! threads that use one descriptor share its locks: what they do to each other must be settled inside the process.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The locks live beyond every byte a file can have, so that they never meet anybody's locks on content.
pub(crate) const BASE: i64 = 1 << 62;

/// How a range is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Any number of descriptions at once.
    Shared,
    /// One description alone.
    Exclusive,
}

/// Some bytes of a file, which need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) len: i64,
}

impl Range {
    /// The single byte at `start`.
    pub(crate) const fn byte(start: i64) -> Self {
        Range { start, len: 1 }
    }
}

/// Takes `range`, or changes how it is held; `false` if another description is in the way, and nothing has changed.
pub(crate) fn try_lock(fd: BorrowedFd<'_>, hold: Hold, range: Range) -> io::Result<bool> {
    set(fd.as_raw_fd(), kind_of(hold), range)
}

/// Gives `range` back; giving back what is not held is harmless.
pub(crate) fn unlock(fd: BorrowedFd<'_>, range: Range) -> io::Result<()> {
    set(fd.as_raw_fd(), libc::F_UNLCK, range).map(drop)
}

/// Whether some *other* description holds a byte of `range` in any way.
pub(crate) fn held_elsewhere(fd: BorrowedFd<'_>, range: Range) -> io::Result<bool> {
    let mut request = request(libc::F_WRLCK, range);
    // SAFETY: `fd` is open and `request` is a valid flock that the call may overwrite.
    let done = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request.l_type != libc::F_UNLCK as libc::c_short)
}

/// Whether any process has locked a byte from [`BASE`] on in the file with that device and inode number; `None` where the
/// system does not tell (`/proc/locks`).
///
/// The kernel shows the locks of descriptions in all pid namespaces, and shows none twice; a list longer than a page is not
/// of one instant.
pub(crate) fn is_locked_by_anybody(device: u64, inode: u64) -> Option<bool> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let (major, minor) = (libc::major(device), libc::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    Some(locks.lines().any(|line| is_of(line, &file)))
}

/// Whether a line speaks of that file: `1: OFDLCK ADVISORY  WRITE -1 00:01:1159 4611686018427387909 4611686018427387909`.
fn is_of(line: &str, file: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|&word| word != file);
    let start = words.nth(1).and_then(|start| start.parse::<i64>().ok());
    line.contains("OFDLCK") && start.is_some_and(|start| start >= BASE)
}

fn kind_of(hold: Hold) -> i32 {
    match hold {
        Hold::Shared => libc::F_RDLCK,
        Hold::Exclusive => libc::F_WRLCK,
    }
}

fn request(kind: i32, range: Range) -> libc::flock {
    // SAFETY: an all-zero flock is a valid value; OFD commands demand l_pid = 0.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    request.l_start = range.start;
    request.l_len = range.len;
    request
}

fn set(fd: i32, kind: i32, range: Range) -> io::Result<bool> {
    let request = request(kind, range);
    // SAFETY: `fd` is open and `request` is a valid flock that the call only reads.
    let done = unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const request) };
    if done == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}
