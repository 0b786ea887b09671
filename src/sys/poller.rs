//! Many descriptors and a moment in one descriptor, which is readable when any of them is, or when the moment has come.

use crate::sys::clock::Deadline;
use crate::sys::fd::{owned, result_of};
use crate::sys::private::Private;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

/// An epoll instance with an alarm.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Private,
    alarm: Private,
}

/// What the alarm is called; nothing else may be.
const ALARM: u64 = u64::MAX;

/// The most that one look tells.
const MOST: usize = 64;

impl Poller {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: both calls take integers; descriptors that they return are new and ours.
        let (epoll, alarm) = unsafe {
            let epoll = owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            (
                epoll,
                owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?,
            )
        };
        let poller = Poller {
            epoll: epoll.into(),
            alarm: alarm.into(),
        };
        poller.add(poller.alarm.as_fd(), ALARM)?;
        Ok(poller)
    }

    /// Watches `fd`, which is called `name` from now on, for as long as it is open and not removed.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, name: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, name)
    }

    /// Whether to look at `fd` or to leave it alone for now.
    pub(crate) fn heed(&self, fd: BorrowedFd<'_>, name: u64, yes: bool) -> io::Result<()> {
        let events = if yes { libc::EPOLLIN as u32 } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, fd, events, name)
    }

    /// Watches `fd` no longer.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0); // as good as closing it, which follows
    }

    /// Has the poller be readable from `deadline` on.
    pub(crate) fn set_alarm(&self, deadline: Deadline) -> io::Result<()> {
        // SAFETY: an all-zero itimerspec is a valid value: no alarm.
        let mut at: libc::itimerspec = unsafe { std::mem::zeroed() };
        if let Some(moment) = deadline.to_timespec() {
            at.it_value = moment;
            at.it_value.tv_nsec = at.it_value.tv_nsec.max(1); // zero is no alarm
        }
        let flags = libc::TFD_TIMER_ABSTIME;
        // SAFETY: the descriptor is open, `at` is valid, and nobody asks for the old value.
        result_of(unsafe {
            libc::timerfd_settime(
                self.alarm.as_fd().as_raw_fd(),
                flags,
                &raw const at,
                ptr::null_mut(),
            )
        })
    }

    /// The names of some of those that are readable now, if any are; in turn, if there are many.
    pub(crate) fn ready(&self) -> io::Result<Vec<u64>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST];
        // SAFETY: `events` is writable for as many as are asked for.
        let found = unsafe {
            libc::epoll_wait(
                self.epoll.as_fd().as_raw_fd(),
                events.as_mut_ptr(),
                MOST as i32,
                0,
            )
        };
        let found = match usize::try_from(found) {
            Ok(found) => found,
            Err(_) => return interrupted_is_nothing(),
        };
        let names = events[..found].iter().map(|event| event.u64);
        Ok(names.filter(|&name| name != ALARM).collect())
    }

    fn control(&self, what: i32, fd: BorrowedFd<'_>, events: u32, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: name };
        // SAFETY: both descriptors are open, and `event` is valid through the call.
        result_of(unsafe {
            libc::epoll_ctl(
                self.epoll.as_fd().as_raw_fd(),
                what,
                fd.as_raw_fd(),
                &raw mut event,
            )
        })
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cold]
fn interrupted_is_nothing() -> io::Result<Vec<u64>> {
    match io::Error::last_os_error() {
        cause if cause.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
        cause => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::wait;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn what_is_readable_is_named_and_what_is_not_heeded_is_not() {
        let poller = Poller::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        poller.add(reader.as_fd(), 7).unwrap();
        assert!(poller.ready().unwrap().is_empty());
        writer.write_all(b"x").unwrap();
        assert_eq!(poller.ready().unwrap(), [7]);
        poller.heed(reader.as_fd(), 7, false).unwrap();
        assert!(poller.ready().unwrap().is_empty());
        poller.heed(reader.as_fd(), 7, true).unwrap();
        assert_eq!(poller.ready().unwrap(), [7]);
        poller.remove(reader.as_fd());
        assert!(!wait(poller.as_fd(), Deadline::NOW).unwrap());
    }

    #[test]
    fn the_alarm_makes_it_readable_until_it_is_set_anew() {
        let poller = Poller::new().unwrap();
        let soon = Deadline::after(Duration::from_millis(1));
        poller.set_alarm(soon).unwrap();
        assert!(wait(poller.as_fd(), Deadline::NEVER).unwrap());
        assert!(poller.ready().unwrap().is_empty());
        poller.set_alarm(Deadline::NEVER).unwrap();
        assert!(!wait(poller.as_fd(), Deadline::NOW).unwrap());
        poller.set_alarm(Deadline::NOW).unwrap();
        assert!(wait(poller.as_fd(), Deadline::NEVER).unwrap());
    }
}
