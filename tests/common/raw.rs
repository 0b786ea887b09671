//! A listener's socket, spoken to by hand.

#![allow(dead_code, reason = "what some builds leave out")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where names are.
pub fn directory() -> PathBuf {
    // SAFETY: geteuid has no preconditions.
    let user = unsafe { libc::geteuid() };
    std::env::var_os("MULTIPROC_DIR").map_or_else(
        || PathBuf::from(format!("/dev/shm/multiproc-{user}")),
        PathBuf::from,
    )
}

/// The socket of the listener of that name, by its id, which is 24 bytes from the beginning of its file.
pub fn socket_of(name: &str) -> PathBuf {
    let file = fs::read(directory().join(name)).expect("the name");
    let id = u64::from_ne_bytes(file[24..32].try_into().expect("eight bytes"));
    directory().join(format!(".socket-{id:016x}"))
}

/// Has the file look as if it had been made an hour ago.
pub fn make_old(path: &Path) {
    // SAFETY: an all-zero timespec is valid.
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `now` is writable.
    check(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) });
    now.tv_sec -= 3600;
    let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the path ends with a zero byte, and two times are given.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), [now; 2].as_ptr(), 0) });
}

/// A socket of packets.
#[derive(Debug)]
pub struct Packets(OwnedFd);

impl Packets {
    fn new() -> Self {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: socket takes integers.
        let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
        check(fd);
        // SAFETY: the kernel has just made this descriptor for us.
        Packets(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub fn connect(path: &Path) -> Self {
        let socket = Self::new();
        let (address, len) = address(path);
        // SAFETY: the address is valid for its length.
        check(unsafe { libc::connect(socket.0.as_raw_fd(), (&raw const address).cast(), len) });
        socket
    }

    pub fn listen(path: &Path) -> Self {
        let socket = Self::new();
        let (address, len) = address(path);
        // SAFETY: the address is valid for its length.
        check(unsafe { libc::bind(socket.0.as_raw_fd(), (&raw const address).cast(), len) });
        // SAFETY: listen takes integers.
        check(unsafe { libc::listen(socket.0.as_raw_fd(), 8) });
        socket
    }

    pub fn accept(&self) -> Self {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: nobody asks for the address.
        let fd = unsafe { libc::accept(self.0.as_raw_fd(), none.cast(), none.cast()) };
        check(fd);
        // SAFETY: the kernel has just made this descriptor for us.
        Packets(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub fn send(&self, bytes: &[u8]) {
        let (at, len) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: `bytes` is readable for its length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), at, len, libc::MSG_NOSIGNAL) };
        assert_eq!(sent, len as isize, "{}", io::Error::last_os_error());
    }

    /// The next packet; none when the other side has closed.
    pub fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let (at, len) = (bytes.as_mut_ptr().cast(), bytes.len());
        // SAFETY: `bytes` is writable for its length.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), at, len, 0) };
        bytes.truncate(usize::try_from(got).unwrap_or(0));
        bytes
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until the descriptor is readable.
pub fn readable(fd: BorrowedFd<'_>) {
    first_readable([fd]);
}

/// Waits until one of them is readable, and says which are.
pub fn first_readable<const N: usize>(fds: [BorrowedFd<'_>; N]) -> [bool; N] {
    let mut polls = fds.map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: N valid pollfds.
    check(unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, -1) });
    polls.map(|poll| poll.revents != 0)
}

fn address(path: &Path) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: an all-zero sockaddr_un is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let path = path.as_os_str().as_bytes();
    assert!(path.len() < address.sun_path.len());
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = *from as libc::c_char;
    }
    (address, size_of::<libc::sockaddr_un>() as libc::socklen_t)
}

fn check(done: i32) {
    assert!(done >= 0, "{}", io::Error::last_os_error());
}
