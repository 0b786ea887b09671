//! Descriptors that no forked child keeps.

use crate::sys::atfork::Seat;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A descriptor whose file is let go of when this process ends, even if it has forked: the child finds nothing there.
///
/// For sockets, whose peers tell by their end that the process is no more.
#[derive(Debug)]
pub(crate) struct Private {
    _seat: Box<Seat>, // before the descriptor, which it watches
    fd: OwnedFd,
}

impl From<OwnedFd> for Private {
    fn from(fd: OwnedFd) -> Self {
        Private {
            // SAFETY: the descriptor is closed after the seat was dropped, by the order of the fields.
            _seat: unsafe { Seat::not_for_children(fd.as_fd()) },
            fd,
        }
    }
}

impl AsFd for Private {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_forked_child_does_not_keep_the_other_end_open() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let writer = Private::from(OwnedFd::from(writer));
        let (asleep, wake) = std::io::pipe().unwrap();
        // SAFETY: the child makes async-signal-safe calls only: the hook's, read and _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            use std::os::fd::AsRawFd;
            let mut byte = 0_u8;
            // SAFETY: reads one byte into memory of its own, and ends without running anything of the parent's.
            unsafe {
                libc::close(wake.as_raw_fd());
                libc::read(asleep.as_raw_fd(), (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
        }
        drop(writer);
        assert_eq!(
            reader.read(&mut [0]).unwrap(),
            0,
            "the end, though the child lives"
        );
        drop(wake);
        // SAFETY: the child is ours, and a null status is allowed.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
}
