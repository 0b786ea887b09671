//! Giving a file memory for certain, or a typed error: what is not allocated up front is SIGBUS later.

use super::limits;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::step::step;
use std::fmt;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes sure that the file has memory behind `len` bytes from `offset`, growing it if it is shorter.
///
/// Idempotent. The memory limits of the control group and of the machine are looked at *before* the kernel is asked:
/// it would not refuse, but kill somebody. Another process may take what was free in between; that race remains.
///
/// # Errors
///
/// `NoSpace`, with what was asked for, where, and the remedy.
pub(crate) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    if is_memory(file) {
        limits::check(len)?;
    }
    step("shm.allocate");
    fallocate(file, 0, offset, len).map_err(|cause| no_space(file, len, cause))
}

/// Gives the memory behind `len` bytes from `offset` back to the system; they read as zero afterwards.
///
/// Both must be multiples of the page size. `false` if the file system cannot: the memory then stays.
pub(crate) fn punch(file: BorrowedFd<'_>, offset: u64, len: u64) -> bool {
    const MODE: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    step("shm.punch");
    fallocate(file, MODE, offset, len).is_ok()
}

/// The system call itself and not `posix_fallocate`, which on some file systems writes a byte into every page, over
/// whatever another process is storing there.
fn fallocate(file: BorrowedFd<'_>, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = libc::off64_t::try_from(offset).map_err(invalid)?;
    let len = libc::off64_t::try_from(len).map_err(invalid)?;
    loop {
        // SAFETY: the descriptor is open; fallocate takes integers only.
        if unsafe { libc::fallocate64(file.as_raw_fd(), mode, offset, len) } == 0 {
            return Ok(());
        }
        let cause = io::Error::last_os_error();
        if cause.kind() != io::ErrorKind::Interrupted {
            return Err(cause);
        }
    }
}

#[cold]
fn no_space(file: BorrowedFd<'_>, len: u64, cause: io::Error) -> Error {
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    let what = format!(
        "cannot allocate {} of shared memory for {}",
        Size(len),
        path.display()
    );
    match cause.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM | libc::EFBIG) => {
            let free = Size(free_space(file).unwrap_or(0));
            let remedy = "enlarge that file system (docker run --shm-size, mount -o remount,size=), \
                          ask for less, or let MULTIPROC_DIR name a directory with more room";
            Error::new(
                ErrorKind::NoSpace,
                format!("{what}: {free} are free; {remedy}"),
            )
            .with_source(cause)
        }
        _ => Error::os(what, cause),
    }
}

/// Whether the file's bytes count as memory, as on tmpfs; on a disk only the file system's own limit matters.
fn is_memory(file: BorrowedFd<'_>) -> bool {
    let mut answer = MaybeUninit::<libc::statfs64>::zeroed();
    // SAFETY: the descriptor is open and `answer` is writable.
    if unsafe { libc::fstatfs64(file.as_raw_fd(), answer.as_mut_ptr()) } != 0 {
        return true;
    }
    // SAFETY: zero bytes are a valid statfs64, and the call has filled it in.
    let kind = unsafe { answer.assume_init() }.f_type;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types differ between C libraries"
    )]
    let same = kind as i64 == libc::TMPFS_MAGIC as i64;
    same
}

/// The bytes that are free on the file system of `file`; `None` if it does not keep such a count.
pub(crate) fn free_space(file: BorrowedFd<'_>) -> Option<u64> {
    let mut answer = MaybeUninit::<libc::statvfs64>::zeroed();
    // SAFETY: the descriptor is open and `answer` is writable.
    if unsafe { libc::fstatvfs64(file.as_raw_fd(), answer.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: zero bytes are a valid statvfs64, and the call has filled it in.
    let answer = unsafe { answer.assume_init() };
    (answer.f_blocks != 0).then(|| answer.f_bavail.saturating_mul(answer.f_frsize))
}

/// A number of bytes for people.
pub(super) struct Size(pub(super) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        let power = (self.0.ilog2() / 10).min(UNITS.len() as u32);
        let amount = self.0 as f64 / (1_u64 << (10 * power)) as f64;
        write!(f, "{amount:.1} {}", UNITS[power as usize - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::super::anonymous;
    use super::*;
    use crate::sys::fd::metadata;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::MetadataExt;

    fn memory() -> OwnedFd {
        anonymous("multiproc-test").unwrap()
    }

    #[test]
    fn allocation_grows_the_file_and_punching_gives_the_memory_back() {
        let file = memory();
        allocate(file.as_fd(), 0, 0).unwrap();
        allocate(file.as_fd(), 4096, 8192).unwrap();
        allocate(file.as_fd(), 4096, 8192).unwrap();
        let meta = metadata(file.as_fd()).unwrap();
        assert_eq!((meta.len(), meta.blocks() * 512), (12288, 8192));
        assert!(punch(file.as_fd(), 4096, 4096));
        let meta = metadata(file.as_fd()).unwrap();
        assert_eq!((meta.len(), meta.blocks() * 512), (12288, 4096));
    }

    #[test]
    fn more_than_the_machine_has_is_refused_before_it_is_tried() {
        let file = memory();
        let error = allocate(file.as_fd(), 0, 1 << 50).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert!(error.to_string().contains("1.0 PiB"), "{error}");
        assert_eq!(metadata(file.as_fd()).unwrap().len(), 0);
    }

    #[test]
    fn a_full_file_system_is_no_space_with_a_remedy() {
        let file = memory();
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let error = no_space(file.as_fd(), 3 << 20, full);
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        let text = error.to_string();
        assert!(
            text.contains("3.0 MiB") && text.contains("shm-size"),
            "{text}"
        );
        assert!(text.contains("multiproc-test"), "{text}");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(Size(512).to_string(), "512 bytes");
        assert_eq!(Size(1536).to_string(), "1.5 KiB");
        assert_eq!(Size(u64::MAX).to_string(), "16384.0 PiB");
    }
}
