//! What the bench asks of the system beside the library: pinning, a bare futex, and a page of bare memory. The only file
//! of the command with `libc` in it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// The processors that this process may run on, by number.
pub fn allowed_cpus() -> Vec<u32> {
    // SAFETY: an all-zero set is a valid (empty) set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and of the size passed.
    let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0;
    // SAFETY: the index is below CPU_SETSIZE, the size of a set.
    let allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    let found = (0..libc::CPU_SETSIZE as usize).filter(allowed);
    match failed {
        // More processors than a set of this size has room for: the first ones will do.
        true => (0..online()).collect(),
        false => found.map(|cpu| cpu as u32).collect(),
    }
}

fn online() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// Ties the calling thread to one processor, and so a process that has no other.
///
/// # Errors
///
/// When the system refuses.
pub fn pin(cpu: u32) -> io::Result<()> {
    // SAFETY: an all-zero set is a valid (empty) set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is a number that the system gave for a set of this size; others do nothing.
    unsafe { libc::CPU_SET(cpu as usize, &mut set) };
    // SAFETY: `set` is readable and of the size passed.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sleeps in the kernel while the word is `seen`; may come back for no reason.
pub fn futex_wait(word: &AtomicU32, seen: u32) {
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call; the kernel only reads it.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            seen,
            forever,
        )
    };
}

/// Wakes one who sleeps on the word, in whatever process.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word outlives the call; waking touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// Stores `value` and wakes one who sleeps for it.
pub fn post(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
    futex_wake(word);
}

/// Memory of its own that several processes map: a file without a name.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// The bytes that fit on any page.
    pub const LEN: usize = 4096;

    /// A new file, full of zeros, of [`LEN`](Mapping::LEN) bytes.
    ///
    /// # Errors
    ///
    /// When the system has no memory or no descriptor left.
    pub fn file() -> io::Result<File> {
        // SAFETY: the name is a NUL-terminated string; no other memory is passed.
        let fd = unsafe { libc::memfd_create(c"multiproc-bench".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(Mapping::LEN as u64)?;
        Ok(file)
    }

    /// Maps such a file.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
        );
        let (fd, len) = (file.as_raw_fd(), Mapping::LEN);
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing of this process.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is never at address 0");
        Ok(Mapping { base, len })
    }

    /// The mapping that the parent passed as standard input.
    ///
    /// # Errors
    ///
    /// When it is no such file.
    pub fn inherited() -> io::Result<Self> {
        Mapping::of(io::stdin().as_fd())
    }

    /// The object at the beginning.
    ///
    /// # Safety
    ///
    /// `T` must be valid for whatever bytes are there, and consist of atomics.
    ///
    /// # Panics
    ///
    /// When it does not fit.
    pub unsafe fn first<T>(&self) -> &T {
        assert!(size_of::<T>() <= self.len && align_of::<T>() <= self.len);
        // SAFETY: in bounds and aligned as asserted, a mapping being page-aligned; the rest is the caller's promise.
        unsafe { self.base.cast().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `of`; references into it cannot outlive `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

// SAFETY: a mapping belongs to the process and not to a thread, and holds atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
