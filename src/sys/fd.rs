//! Descriptors that travel: re-opened, taken from another process, or passed over a socket.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The most descriptors that one message carries.
pub(crate) const MAX_FDS: usize = 64;

/// A second, independent open file description of the same file.
///
/// OFD locks belong to a description: one that was inherited, received or duplicated is shared with its origin, and a
/// lock taken through it would outlive this process.
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let copy = open_quietly(&path)
        .map_err(|cause| Error::os("cannot re-open a shared-memory descriptor", cause))?;
    if inode(copy.as_fd())? != inode(fd)? {
        return Err(Error::new(
            ErrorKind::Gone,
            "a shared-memory descriptor changed while it was re-opened",
        ));
    }
    Ok(copy)
}

/// Opens descriptor `fd` of process `pid`, if it still is the file with the given inode.
///
/// The file's content must be checked as well: inode numbers of anonymous memory can repeat.
pub(crate) fn open_from_pid(pid: u32, fd: RawFd, expected_inode: u64) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => gone(pid).with_source(cause),
        _ => Error::os(
            format_args!("cannot take a shared object over from process {pid}"),
            cause,
        ),
    };
    // Looked at before it is opened: opening whatever a reused pid has there (a tape, a terminal) may have effects.
    if std::fs::metadata(&path).map_err(failed)?.ino() != expected_inode {
        return Err(gone(pid));
    }
    let opened = open_quietly(&path).map_err(failed)?;
    if inode(opened.as_fd())? != expected_inode {
        return Err(gone(pid));
    }
    Ok(opened)
}

fn gone(pid: u32) -> Error {
    Error::new(
        ErrorKind::Gone,
        format!("process {pid}, the last known holder of the object, no longer has it"),
    )
}

fn open_quietly(path: &str) -> io::Result<OwnedFd> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map(OwnedFd::from)
}

/// The inode number of an open file.
pub(crate) fn inode(fd: BorrowedFd<'_>) -> Result<u64> {
    Ok(metadata(fd)?.ino())
}

/// What `fstat` says about an open file.
pub(crate) fn metadata(fd: BorrowedFd<'_>) -> Result<std::fs::Metadata> {
    // A File closes its descriptor on drop, and this one is borrowed: it must not be dropped.
    // SAFETY: `fd` is open for as long as the borrow, and ManuallyDrop leaves closing it to its owner.
    let file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(fd.as_raw_fd()) });
    file.metadata()
        .map_err(|cause| Error::os("cannot examine a shared-memory descriptor", cause))
}

/// The answer of a system call that returns 0, or else has set `errno`.
pub(super) fn result_of(done: i32) -> io::Result<()> {
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The descriptor that a system call has made.
///
/// # Safety
///
/// `fd` is negative, with `errno` set, or a descriptor that nothing else owns.
pub(super) unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    result_of(fd.min(0))?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Says whether `fd` is closed when the process executes another image.
#[allow(
    dead_code,
    reason = "a fact of the kernel, tested here, that no floor above needs yet"
)]
pub(crate) fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: `fd` is open; F_SETFD only changes its one flag.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Room for the control message of [`MAX_FDS`] descriptors, in u64 so that its header is aligned.
type Control = [MaybeUninit<u64>; (MAX_FDS * size_of::<RawFd>() + 64) / 8];

/// Sends `bytes` (at least one) with `fds` over a Unix socket; the receiver gets descriptors of the same descriptions.
pub(crate) fn send_fds(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if bytes.is_empty() || fds.len() > MAX_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control: Control = [MaybeUninit::uninit(); _];
    let mut message = empty_message(&mut part);
    attach_fds(&mut message, &mut control, fds);
    loop {
        // SAFETY: `message` points at `part` and `control`, both alive here, and `part` at `bytes`.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(n) if n == bytes.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(_) => retry_if_interrupted()?,
        }
    }
}

/// Puts one SCM_RIGHTS message with `fds` into `control` and lets `message` point at it.
fn attach_fds(message: &mut libc::msghdr, control: &mut Control, fds: &[BorrowedFd<'_>]) {
    if fds.is_empty() {
        return;
    }
    let payload = size_of_val(fds) as u32;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE computes; a BorrowedFd has the size of a RawFd.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
    // SAFETY: `control` has room for MAX_FDS descriptors and is aligned for a header, so the first header lies in it,
    // and `fds` of at most MAX_FDS are copied, byte by byte, into the data behind that header.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(payload) as _;
        let data = libc::CMSG_DATA(header);
        std::ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), data, payload as usize);
    }
}

/// Receives bytes and descriptors from a Unix socket; zero bytes mean that the peer has closed it.
///
/// The descriptors are close-on-exec and share their descriptions with the sender: [`reopen`] before locking.
pub(crate) fn recv_fds(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control: Control = [MaybeUninit::uninit(); _];
    let mut message = empty_message(&mut part);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let received = loop {
        // SAFETY: `message` points at `part` and `control`, both alive and writable for the lengths given.
        let received =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(received) {
            Ok(n) => break n,
            Err(_) => retry_if_interrupted()?,
        }
    };
    let fds = detach_fds(&message);
    if message.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        return Err(io::Error::other(
            "a message with descriptors arrived truncated",
        ));
    }
    Ok((received, fds))
}

/// Takes ownership of every descriptor that `recvmsg` has just installed.
fn detach_fds(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel wrote well-formed headers within `msg_controllen`; each SCM_RIGHTS payload holds descriptors
    // that were installed for this call, so that nobody else owns them. Reads are unaligned on purpose.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            if found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS {
                #[allow(
                    clippy::unnecessary_cast,
                    reason = "the type differs between C libraries"
                )]
                let bytes = found.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..bytes / size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    fds
}

fn empty_message(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: an all-zero msghdr is a message without address, parts and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

fn retry_if_interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::identity::{self, Participant};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    fn file() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    #[test]
    fn a_reopened_descriptor_has_locks_of_its_own() {
        let first = file();
        let second = reopen(first.as_fd()).unwrap();
        assert!(identity::lock_own(first.as_fd(), Participant::FIRST).unwrap());
        assert!(identity::is_alive(second.as_fd(), Participant::FIRST));
        assert!(!identity::is_alive(first.as_fd(), Participant::FIRST));
    }

    #[test]
    fn a_descriptor_is_taken_from_a_process_only_if_it_is_the_same_file() {
        let theirs = file();
        let inode = inode(theirs.as_fd()).unwrap();
        let pid = std::process::id();
        assert!(open_from_pid(pid, theirs.as_raw_fd(), inode).is_ok());
        let other = open_from_pid(pid, theirs.as_raw_fd(), inode + 1).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Gone);
        let nobody = open_from_pid(u32::MAX, 3, inode).unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::Gone);
    }

    #[test]
    fn descriptors_pass_over_stream_and_datagram_sockets() {
        let (a, b) = UnixStream::pair().unwrap();
        pass(a.as_fd(), b.as_fd());
        let (a, b) = UnixDatagram::pair().unwrap();
        pass(a.as_fd(), b.as_fd());
    }

    fn pass(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
        let files = [file(), file(), file()];
        send_fds(from, b"three", &files.each_ref().map(|f| f.as_fd())).unwrap();
        send_fds(from, b"none", &[]).unwrap();
        let mut buffer = [0; 5];
        let (n, received) = recv_fds(to, &mut buffer).unwrap();
        assert_eq!((&buffer[..n], received.len()), (&b"three"[..], 3));
        for (sent, got) in files.iter().zip(&received) {
            assert_eq!(inode(sent.as_fd()).unwrap(), inode(got.as_fd()).unwrap());
        }
        let (n, received) = recv_fds(to, &mut buffer).unwrap();
        assert_eq!((&buffer[..n], received.len()), (&b"none"[..], 0));
    }

    #[test]
    fn a_message_without_bytes_or_with_too_many_descriptors_is_refused() {
        let (a, _b) = UnixDatagram::pair().unwrap();
        let one = file();
        assert!(send_fds(a.as_fd(), b"", &[one.as_fd()]).is_err());
        assert!(send_fds(a.as_fd(), b"x", &[one.as_fd(); MAX_FDS + 1]).is_err());
        assert!(send_fds(a.as_fd(), b"x", &[one.as_fd(); MAX_FDS]).is_ok());
    }

    #[test]
    fn close_on_exec_can_be_switched() {
        let fd = file();
        for on in [false, true] {
            set_cloexec(fd.as_fd(), on).unwrap();
            // SAFETY: the descriptor is open; F_GETFD reads its flag.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC != 0, on);
        }
    }
}
