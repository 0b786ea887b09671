//! Waiting for descriptors: one call for several, a set of them that is a descriptor itself, a clock that can be polled.

use crate::sys::clock::Deadline;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// A descriptor to be polled for something to read, or for its end.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Polled(libc::pollfd);

impl Polled {
    /// The descriptor, which must stay open while it is polled; else it counts as ready.
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Self {
        Polled(libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
    }

    /// Whether the last [`poll`] found it readable, at its end, or broken.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of `fds` is ready, until `deadline`, or for a signal; says how many are.
pub(crate) fn poll(fds: &mut [Polled], deadline: Deadline) -> io::Result<usize> {
    let left = deadline.remaining().map(timespec);
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    let first = fds.as_mut_ptr().cast::<libc::pollfd>();
    // SAFETY: `fds` are that many pollfds (the type is a transparent wrapper), writable; the time-out is null or a valid
    // timespec; there is no signal mask.
    let ready = unsafe { libc::ppoll(first, fds.len() as libc::nfds_t, left, ptr::null()) };
    usize::try_from(ready).or_else(|_| {
        fds.iter_mut().for_each(|fd| fd.0.revents = 0);
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    })
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs() as _,
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A set of descriptors, readable while one of them is.
#[derive(Debug)]
pub(crate) struct PollSet(OwnedFd);

impl PollSet {
    /// The set of `members`, which their owner keeps open for as long.
    pub(crate) fn of(members: &[BorrowedFd<'_>]) -> io::Result<Self> {
        // SAFETY: epoll_create1 takes flags and returns a descriptor or -1.
        let set = PollSet(unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? });
        for member in members {
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: 0,
            };
            let (set, member) = (set.0.as_raw_fd(), member.as_raw_fd());
            // SAFETY: both are open, and `event` is a valid event for the call.
            let done = unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, member, &raw mut event) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(set)
    }
}

impl AsFd for PollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A clock that is readable once for every period that has passed.
#[derive(Debug)]
pub(crate) struct Ticker(OwnedFd);

impl Ticker {
    /// Begins now.
    pub(crate) fn every(period: Duration) -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: timerfd_create takes two integers and returns a descriptor or -1.
        let fd = unsafe { owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))? };
        let ticker = Ticker(fd);
        ticker.set(period)?;
        Ok(ticker)
    }

    /// From now on another period; what has passed is forgotten.
    pub(crate) fn set(&self, period: Duration) -> io::Result<()> {
        let period = timespec(period.max(Duration::from_nanos(1)));
        let spec = libc::itimerspec {
            it_interval: period,
            it_value: period,
        };
        // SAFETY: the descriptor is a timer, `spec` valid, and the old setting is not asked for.
        match unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, ptr::null_mut())
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Whether a period has passed since this was last asked.
    pub(crate) fn has_ticked(&self) -> bool {
        let mut count = 0_u64;
        // SAFETY: eight writable bytes, as many as a timer gives.
        let got = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
        got == 8 && count > 0
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// # Safety
///
/// `fd` is a descriptor that the kernel has just made, or negative after a failed call.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise: nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bell::{self, Bell};

    #[test]
    fn poll_says_which_are_ready() {
        let (rung, silent) = (Bell::new().unwrap(), Bell::new().unwrap());
        bell::ring(rung.number());
        let mut fds = [&silent, &rung].map(|bell| Polled::new(bell.as_fd()));
        assert_eq!(poll(&mut fds, Deadline::NEVER).unwrap(), 1);
        assert_eq!(fds.map(|fd| fd.is_ready()), [false, true]);
        rung.hush();
        assert_eq!(poll(&mut fds, Deadline::NOW).unwrap(), 0);
    }

    #[test]
    fn a_set_is_readable_while_a_member_is() {
        let bell = Bell::new().unwrap();
        let ticker = Ticker::every(Duration::from_secs(3600)).unwrap();
        let set = PollSet::of(&[bell.as_fd(), ticker.as_fd()]).unwrap();
        let is_ready = || poll(&mut [Polled::new(set.as_fd())], Deadline::NOW).unwrap() == 1;
        assert!(!is_ready());
        bell::ring(bell.number());
        assert!(is_ready());
        bell.hush();
        assert!(!is_ready() && !ticker.has_ticked());
        ticker.set(Duration::from_nanos(1)).unwrap();
        assert_eq!(
            poll(&mut [Polled::new(set.as_fd())], Deadline::NEVER).unwrap(),
            1
        );
        assert!(ticker.has_ticked());
    }
}
