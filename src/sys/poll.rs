//! Waiting for descriptors: one call, for one of them or for several.

use crate::sys::clock::Deadline;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
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

/// Waits until `fd` is readable, or at its end; false when the deadline came first.
pub(crate) fn wait(fd: BorrowedFd<'_>, deadline: Deadline) -> io::Result<bool> {
    loop {
        if poll(&mut [Polled::new(fd)], deadline)? > 0 {
            return Ok(true);
        }
        if deadline.expired() {
            return Ok(false); // else a signal came
        }
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs() as _,
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bell::{self, Bell};
    use std::os::fd::AsFd;

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
}
