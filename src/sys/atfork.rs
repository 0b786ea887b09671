//! What a child of `fork` without `exec` must forget before it does anything else.
//!
//! The child shares its parent's open file descriptions, and so its locks: as long as the child keeps them, a dead
//! parent looks alive. A hook that runs in the child replaces every registered descriptor by a fresh description of
//! the same file, which holds no lock but the shared ones, and marks the [`Seat`] as empty; its next use joins with a slot of its own.
//! Mappings, which the child inherits as well, refer to descriptions without locks from the start.
//!
//! The hook makes system calls and touches atomics, nothing else: another thread of the parent may have held any lock
//! of the process, the allocator's included.

mod biased;
mod registry;

pub(crate) use self::biased::BiasedMutex;

use crate::sys::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sys::identity::{Participant, current_pid};
use crate::sys::ofd::{self, Hold, Range};
use crate::sys::serial;
use registry::Registry;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// One process's place in one segment, as the fork hook must know it: which descriptor carries its locks, and which
/// slot it has taken. Or a descriptor that a forked child must not keep.
#[derive(Debug)]
pub(crate) struct Seat {
    fd: RawFd,
    /// Whether the child gets a description of its own; else it gets nothing.
    renewable: bool,
    /// The slot of the participant, 0 while there is none.
    who: AtomicU32,
    /// One bit per unit of which this process holds the byte lock; made when the first is held.
    held: OnceLock<Box<Held>>,
    /// A byte that a forked child holds shared before it has joined, 0 for none.
    stake: AtomicU64,
    /// Set in a child that could not get a description of its own: joining there would disturb the parent's locks.
    shared: AtomicBool,
}

impl Seat {
    /// Puts `fd`, whose description must be its owner's own, under the care of the fork hook.
    ///
    /// # Safety
    ///
    /// `fd` stays open, and stays the same file, until the seat is dropped.
    pub(crate) unsafe fn new(fd: BorrowedFd<'_>) -> Box<Seat> {
        // SAFETY: the caller's promise.
        unsafe { Self::watch(fd, true) }
    }

    /// Has a forked child find nothing under the number of `fd`: what it stands for ends with this process, however many
    /// children live on.
    ///
    /// # Safety
    ///
    /// As for [`new`](Seat::new).
    pub(crate) unsafe fn not_for_children(fd: BorrowedFd<'_>) -> Box<Seat> {
        // SAFETY: the caller's promise.
        unsafe { Self::watch(fd, false) }
    }

    /// # Safety
    ///
    /// As for [`new`](Seat::new).
    unsafe fn watch(fd: BorrowedFd<'_>, renewable: bool) -> Box<Seat> {
        watch_forks();
        let seat = Box::new(Seat {
            fd: fd.as_raw_fd(),
            renewable,
            who: AtomicU32::new(0),
            held: OnceLock::new(),
            stake: AtomicU64::new(0),
            shared: AtomicBool::new(false),
        });
        SEATS.add(&seat);
        seat
    }

    /// The slot this process holds; `None` before it has joined and after a fork.
    #[inline]
    pub(crate) fn who(&self) -> Option<Participant> {
        // Relaxed: written by this process alone; what the slot guards is ordered by the protocols that use it.
        Participant::new(self.who.load(Ordering::Relaxed) as u16)
    }

    /// Notes the slot this process holds from now on.
    pub(crate) fn take(&self, who: Option<Participant>) {
        let slot = who.map_or(0, |who| u32::from(who.get()));
        self.who.store(slot, Ordering::Relaxed);
    }

    /// Whether the descriptor still belongs to the parent's description, so that no lock may be taken or given back.
    pub(crate) fn is_shared_with_parent(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// Notes which of the bytes from `first` on this process holds shared, so that a forked child holds them as well:
    /// it may use what they stand for, and the parent may let go at once.
    ///
    /// # Panics
    ///
    /// If there can be no such byte.
    pub(crate) fn hold(&self, first: i64, (unit, count): (u32, u32), held: bool) {
        let bits = self.held.get_or_init(|| Held::new(first));
        (unit..unit + count).for_each(|unit| bits.set(unit, held));
    }

    /// Has a forked child hold that byte shared from the beginning, although it takes a slot only when it needs one.
    pub(crate) fn stake(&self, byte: i64) {
        self.stake.store(byte as u64, Ordering::Relaxed); // memory of this process
    }

    /// In the child of a fork: a fresh description of the same file under the same number, with the shared locks alone.
    ///
    /// Where that fails (no `/proc`, no free descriptor) the old one stays, and the parent looks alive for as long
    /// as this child does: late, never wrong.
    fn renew_in_child(&self) {
        if !self.renewable {
            replace_by_nothing(self.fd);
            return;
        }
        self.who.store(0, Ordering::Relaxed);
        self.shared.store(true, Ordering::Relaxed);
        self.renew();
    }

    /// Tries again what the hook could not do; `true` if the descriptor is this process's own.
    pub(crate) fn renew(&self) -> bool {
        let old = self.shared.load(Ordering::Relaxed);
        let stake = Range::byte(self.stake.load(Ordering::Relaxed) as i64);
        let stake = (stake.start != 0).then_some(stake);
        if old && replace_description(self.fd, self.held.get().map(|held| &**held), stake) {
            self.shared.store(false, Ordering::Relaxed);
        }
        !self.shared.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEATS.remove(self);
    }
}

/// `/proc/self/fd/N` without an allocation.
fn proc_path(fd: i32) -> [u8; 32] {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let mut path = [0_u8; 32];
    path[..PREFIX.len()].copy_from_slice(PREFIX);
    let digits = fd.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = fd;
    for at in (0..digits).rev() {
        path[PREFIX.len() + at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    path
}

/// The bytes of a file that a process holds shared, beside its slot.
struct Held {
    first: i64,
    words: [AtomicU64; Held::WORDS],
    /// The words that were ever used, so that the hook does not look at all of them.
    used: AtomicUsize,
}

impl Held {
    /// One bit for each of the smallest blocks of the largest arena.
    const WORDS: usize = (32 << 20) / 64 / 64;

    fn new(first: i64) -> Box<Self> {
        Box::new(Held {
            first,
            words: [const { AtomicU64::new(0) }; Held::WORDS],
            used: AtomicUsize::new(0),
        })
    }

    fn set(&self, unit: u32, held: bool) {
        let (word, bit) = (unit as usize / 64, 1 << (unit % 64));
        self.used.fetch_max(word + 1, Ordering::Relaxed);
        if held {
            self.words[word].fetch_or(bit, Ordering::Relaxed);
        } else {
            self.words[word].fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Takes all of them on the description of `fd`; for the hook.
    fn lock_all(&self, fd: BorrowedFd<'_>) {
        let used = self.used.load(Ordering::Relaxed);
        let mut run = Range::byte(self.first);
        run.len = 0;
        for bit in 0..used * 64 {
            let held = self.words[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 == 1;
            if held {
                run.len += 1;
            } else {
                lock_run(fd, run);
                run.start = self.first + bit as i64 + 1;
                run.len = 0;
            }
        }
        lock_run(fd, run);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

fn lock_run(fd: BorrowedFd<'_>, run: Range) {
    if run.len > 0 {
        // Refused only where the parent let go at once and somebody is freeing what it held.
        let _ = ofd::try_lock(fd, Hold::Shared, run);
    }
}

/// Async-signal-safe: `open`, `fcntl`, `dup3` and `close` only.
fn replace_description(fd: i32, held: Option<&Held>, stake: Option<Range>) -> bool {
    let path = proc_path(fd);
    // SAFETY: `path` ends with a zero byte; open has no other precondition.
    let fresh = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fresh < 0 {
        return false;
    }
    // SAFETY: `fresh` was just opened and is closed below.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fresh) };
    held.inspect(|held| held.lock_all(borrowed));
    stake.inspect(|&stake| lock_run(borrowed, stake));
    // SAFETY: both numbers are descriptors of this process, `fd` ours to replace and `fresh` just opened.
    let done = unsafe { libc::dup3(fresh, fd, libc::O_CLOEXEC) };
    // SAFETY: `fresh` is ours and not used again.
    unsafe { libc::close(fresh) };
    done == fd
}

/// Async-signal-safe: `open`, `dup3` and `close` only. Where no descriptor is free, the child keeps what it has.
fn replace_by_nothing(fd: i32) {
    // SAFETY: the path ends with a zero byte; both numbers are descriptors of this process, `fd` ours to replace and
    // `nothing` just opened, and not used again.
    unsafe {
        let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if nothing >= 0 {
            libc::dup3(nothing, fd, libc::O_CLOEXEC);
            libc::close(nothing);
        }
    }
}

static SEATS: Registry<Seat> = Registry::new();

/// Numbers that are to be zero in a child.
static NUMBERS: Registry<AtomicU64> = Registry::new();

/// Has a forked child find zero in `number`.
///
/// # Safety
///
/// It is [let go of](dismiss) before it is freed.
pub(super) unsafe fn zero_in_children(number: &AtomicU64) {
    watch_forks();
    NUMBERS.add(number);
}

/// Undoes [`zero_in_children`].
pub(super) fn dismiss(number: &AtomicU64) {
    NUMBERS.remove(number);
}

/// Registers the hook, once in the life of the process image.
fn watch_forks() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // SAFETY: `in_child` is async-signal-safe. Failure (ENOMEM) leaves forked children without the hook, in
        // which case their parents look alive for as long as they do: late, never wrong.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    serial::forget();
    // SAFETY: both are removed before they are freed.
    unsafe {
        NUMBERS.each(|number| number.store(0, Ordering::Relaxed));
        SEATS.each(Seat::renew_in_child);
    }
}

/// A lock inside one process that a fork at any moment leaves usable in the child.
///
/// If another thread of the parent held it at the fork, its value may be half changed in the child, where that thread
/// does not exist: the child takes the lock over and starts with a fresh value. Only for slow paths.
pub(crate) struct ForkMutex<T> {
    /// `pid << 32 | tid` of the holder, 0 when free.
    holder: AtomicU64,
    value: UnsafeCell<T>,
    fresh: fn() -> T,
}

// SAFETY: `value` is reached only through a guard, and `holder` admits one guard at a time.
unsafe impl<T: Send> Sync for ForkMutex<T> {}
// SAFETY: nothing in it belongs to one thread.
unsafe impl<T: Send> Send for ForkMutex<T> {}

impl<T> ForkMutex<T> {
    /// A free lock around `value`; `fresh` makes the value anew in a child that finds the old one half changed.
    pub(crate) const fn new(value: T, fresh: fn() -> T) -> Self {
        ForkMutex {
            holder: AtomicU64::new(0),
            value: UnsafeCell::new(value),
            fresh,
        }
    }

    /// Waits for the lock.
    ///
    /// # Panics
    ///
    /// The calling thread holds the lock already.
    pub(crate) fn lock(&self) -> ForkGuard<'_, T> {
        let me = token();
        let mut tries = 0_u32;
        loop {
            // Acquire pairs with the Release of the guard's drop.
            match self
                .holder
                .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return ForkGuard(self),
                Err(holder) if holder == me => panic!("a process-wide lock was taken twice"),
                Err(holder) if holder >> 32 != me >> 32 => {
                    if self.inherit(holder, me) {
                        return ForkGuard(self);
                    }
                }
                Err(_) => pause(&mut tries),
            }
        }
    }

    #[cold]
    fn inherit(&self, holder: u64, me: u64) -> bool {
        let won = self
            .holder
            .compare_exchange(holder, me, Ordering::Acquire, Ordering::Relaxed);
        if won.is_ok() {
            // SAFETY: `holder` is ours now. The old value may be torn, so it is overwritten and not dropped.
            unsafe { self.value.get().write((self.fresh)()) };
        }
        won.is_ok()
    }
}

impl<T> fmt::Debug for ForkMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkMutex").finish_non_exhaustive()
    }
}

/// How many forks lie between the start of the program and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// How often this process's line of ancestors was forked: what was noted under another number is a copy of the parent's.
#[inline(always)]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed) // changed in a child that has one thread
}

thread_local! {
    /// The token of this thread and the forks at which it was made.
    static TOKEN: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// `pid << 32 | tid` of the calling thread: two system calls, so kept until the next fork.
fn token() -> u64 {
    let forks = FORKS.load(Ordering::Relaxed);
    let (token, made_at) = TOKEN.get();
    if token != 0 && made_at == forks {
        return token;
    }
    watch_forks();
    // SAFETY: gettid has no precondition.
    let tid = unsafe { libc::gettid() };
    let token = u64::from(current_pid()) << 32 | u64::from(tid as u32);
    TOKEN.set((token, forks));
    token
}

/// Yields a few times, then sleeps a little: the holders make system calls. No futex, since one that a forked child
/// finds held has nobody left to wake it.
fn pause(tries: &mut u32) {
    *tries += 1;
    if *tries < 16 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(50)); // the pace of a poll: see above why nobody is told
    }
}

/// The right to the value of a [`ForkMutex`].
pub(crate) struct ForkGuard<'a, T>(&'a ForkMutex<T>);

impl<T> Deref for ForkGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one, so no other reference to the value exists.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for ForkGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only one and is borrowed exclusively.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for ForkGuard<'_, T> {
    fn drop(&mut self) {
        // A guard that a fork copied into the child is not the holder there. Nobody but the holder changes what names it, so
        // a store does.
        if self.0.holder.load(Ordering::Relaxed) == token() {
            // no step: memory of this process. Release pairs with lock's Acquire.
            self.0.holder.store(0, Ordering::Release);
        }
    }
}

impl<T> fmt::Debug for ForkGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkGuard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_spelled_without_allocating() {
        for fd in [0, 7, 10, 99, 100, 65_535, i32::MAX] {
            let path = proc_path(fd);
            let text = std::ffi::CStr::from_bytes_until_nul(&path).unwrap();
            assert_eq!(text.to_str().unwrap(), format!("/proc/self/fd/{fd}"));
        }
    }

    #[test]
    fn threads_take_turns() {
        static SUM: ForkMutex<u64> = ForkMutex::new(0, || 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| *SUM.lock() += 1));
            }
        });
        assert_eq!(*SUM.lock(), 4000);
    }

    #[test]
    fn what_a_lost_thread_held_is_taken_over() {
        let lock = ForkMutex::new(1, || 2);
        std::mem::forget(lock.lock());
        let elsewhere = lock.holder.load(Ordering::Relaxed) + (1 << 32);
        lock.holder.store(elsewhere, Ordering::Relaxed);
        assert_eq!(*lock.lock(), 2);
    }
}
