//! Sockets with a place in the file system, by which processes meet: packets, descriptors, and who the peer is.

use crate::sys::clock::Deadline;
use crate::sys::fd::{owned, result_of};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::ptr;

/// Who is at the other end, by the word of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// In this process's namespace; 0 if it has no number there.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

/// A socket's address. One that is too long for the kernel goes by way of the directory's descriptor.
struct Address {
    raw: libc::sockaddr_un,
    len: libc::socklen_t,
    _directory: Option<File>,
}

/// Bytes of an address's path, the zero behind it included.
const LONGEST: usize = size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path);

impl Address {
    fn of(directory: &Path, file: &str) -> io::Result<Self> {
        let path = directory.join(file);
        if path.as_os_str().len() < LONGEST {
            return Self::spelled(path.as_os_str(), None);
        }
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC)
            .open(directory)?;
        let path = format!("/proc/self/fd/{}/{file}", opened.as_raw_fd());
        Self::spelled(OsStr::new(&path), Some(opened))
    }

    fn spelled(path: &OsStr, directory: Option<File>) -> io::Result<Self> {
        let bytes = path.as_bytes();
        if bytes.len() >= LONGEST || bytes.contains(&0) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: an all-zero sockaddr_un is a valid value.
        let mut raw: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in raw.sun_path.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        let len = offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
        Ok(Address {
            raw,
            len: len as libc::socklen_t,
            _directory: directory,
        })
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.raw).cast()
    }
}

/// A socket of packets that listens at `directory/file`, which must not exist; `accept` does not wait on it.
///
/// `backlog` connections wait to be accepted, or as many as the system allows.
pub(crate) fn listen(directory: &Path, file: &str, backlog: u32) -> io::Result<OwnedFd> {
    let socket = socket(libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK)?;
    let address = Address::of(directory, file)?;
    // SAFETY: `socket` is open, and the address is valid for its length.
    result_of(unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr(), address.len) })?;
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let path = directory.join(file);
    let done = fs::set_permissions(&path, Permissions::from_mode(0o600))
        // SAFETY: `socket` is open; listen takes an integer.
        .and_then(|()| result_of(unsafe { libc::listen(socket.as_raw_fd(), backlog) }));
    if done.is_err() {
        let _ = fs::remove_file(path);
    }
    done.map(|()| socket)
}

/// Connects to the socket at `directory/file`; waits, until `deadline`, while as many wait as the listener lets.
///
/// # Errors
///
/// `NotFound` and `ConnectionRefused` when nobody listens there, `TimedOut`.
pub(crate) fn connect(directory: &Path, file: &str, deadline: Deadline) -> io::Result<OwnedFd> {
    let socket = socket(libc::SOCK_SEQPACKET)?;
    let address = Address::of(directory, file)?;
    loop {
        limit_sending(socket.as_fd(), deadline)?;
        // SAFETY: `socket` is open, and the address is valid for its length.
        let done = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr(), address.len) };
        match result_of(done) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            done => return done.map(|()| socket),
        }
    }
}

/// Has `connect` give up at `deadline`.
fn limit_sending(socket: BorrowedFd<'_>, deadline: Deadline) -> io::Result<()> {
    let left = deadline.remaining().map_or((0, 0), |left| {
        (left.as_secs(), left.subsec_micros().max(1)) // zero is no limit
    });
    let limit = libc::timeval {
        tv_sec: left.0 as _,
        tv_usec: left.1 as _,
    };
    // SAFETY: the option's value is a timeval, valid for its length.
    result_of(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const limit).cast(),
            size_of_val(&limit) as libc::socklen_t,
        )
    })
}

/// The next connection, on which nothing waits; `WouldBlock` when there is none.
pub(crate) fn accept(listening: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    loop {
        // SAFETY: `listening` is open; nobody asks for the peer's address.
        let fd = unsafe {
            libc::accept4(
                listening.as_raw_fd(),
                ptr::null_mut(),
                ptr::null_mut(),
                flags,
            )
        };
        if fd >= 0 {
            // SAFETY: the kernel has just made this descriptor for us; nothing else owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let cause = io::Error::last_os_error();
        if cause.kind() != io::ErrorKind::Interrupted {
            return Err(cause);
        }
    }
}

/// Who connected, or who listens, at the other end.
pub(crate) fn credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut found = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of_val(&found) as libc::socklen_t;
    // SAFETY: `found` is writable for `len`, which is.
    result_of(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    })?;
    Ok(Credentials {
        pid: found.pid.cast_unsigned(),
        uid: found.uid,
    })
}

/// Whether any process holds the socket `directory/file`; does not disturb who does.
pub(crate) fn is_held(directory: &Path, file: &str) -> bool {
    // A socket of another type may not connect, which the kernel finds out once it has found whom to connect to.
    let refused = || -> io::Result<()> {
        let probe = socket(libc::SOCK_DGRAM)?;
        let address = Address::of(directory, file)?;
        // SAFETY: `probe` is open, and the address is valid for its length.
        result_of(unsafe { libc::connect(probe.as_raw_fd(), address.as_ptr(), address.len) })
    };
    refused().map_or_else(
        |why| why.kind() != io::ErrorKind::ConnectionRefused,
        |()| true,
    )
}

fn socket(kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: socket takes integers; a descriptor that it returns is new and ours.
    unsafe { owned(libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::{recv_fds, send_fds};
    use std::time::Duration;

    #[test]
    fn who_meets_at_a_socket_learns_who_the_other_is() {
        let dir = tempfile::tempdir().unwrap();
        let listening = listen(dir.path(), "door", 8).unwrap();
        assert_eq!(
            accept(listening.as_fd()).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let near = connect(dir.path(), "door", Deadline::NEVER).unwrap();
        let far = accept(listening.as_fd()).unwrap();
        let us = Credentials {
            pid: std::process::id(),
            uid: crate::sys::identity::user(),
        };
        for end in [&near, &far] {
            assert_eq!(credentials(end.as_fd()).unwrap(), us);
        }
        send_fds(near.as_fd(), b"packet", &[]).unwrap();
        assert_eq!(recv_fds(far.as_fd(), &mut [0; 9]).unwrap().0, 6);
    }

    #[test]
    fn a_long_path_is_as_good_as_a_short_one() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        let listening = listen(&deep, "door", 8).unwrap();
        assert!(deep.join("door").exists() && is_held(&deep, "door"));
        connect(&deep, "door", Deadline::NOW).unwrap();
        drop(listening);
    }

    #[test]
    fn a_socket_whose_holder_is_gone_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let listening = listen(dir.path(), "door", 8).unwrap();
        assert!(is_held(dir.path(), "door"));
        drop(listening);
        assert!(!is_held(dir.path(), "door"));
        let refused = connect(dir.path(), "door", Deadline::NEVER).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let missing = connect(dir.path(), "nobody", Deadline::NEVER).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn who_finds_too_many_waiting_waits_no_longer_than_he_wants() {
        let dir = tempfile::tempdir().unwrap();
        let _listening = listen(dir.path(), "door", 0).unwrap();
        let _first = connect(dir.path(), "door", Deadline::NEVER).unwrap();
        let soon = Deadline::after(Duration::from_millis(20));
        let late = connect(dir.path(), "door", soon).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
