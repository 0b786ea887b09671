//! Making an anonymous file, and opening somebody else's named one with suspicion.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::fd;
use crate::sys::identity::user;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An empty file that has no name and vanishes with its last holder.
///
/// `label` is what `/proc/PID/fd` and `/proc/PID/maps` show.
pub(crate) fn anonymous(label: &str) -> Result<OwnedFd> {
    let label = CString::new(label).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            "a memory label holds a NUL character",
        )
    })?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let fd = memfd(&label, flags | libc::MFD_NOEXEC_SEAL).or_else(|cause| match cause.kind() {
        io::ErrorKind::InvalidInput => memfd(&label, flags), // kernels before 6.3
        _ => Err(cause),
    });
    let fd = fd.map_err(|cause| Error::os("cannot create anonymous shared memory", cause))?;
    // SAFETY: the descriptor is open; fchmod changes its mode only.
    if unsafe { libc::fchmod(fd.as_raw_fd(), 0o600) } != 0 {
        let cause = io::Error::last_os_error();
        return Err(Error::os("cannot make anonymous memory private", cause));
    }
    Ok(fd)
}

fn memfd(label: &CString, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: `label` is a NUL-terminated string.
    let fd = unsafe { libc::memfd_create(label.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes it impossible for anybody to cut the file short, which would end its users by SIGBUS. It can still grow.
pub(crate) fn seal_against_shrinking(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the descriptor is open; F_ADD_SEALS takes an integer.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) } {
        0 => Ok(()),
        _ => Err(Error::os(
            "cannot seal anonymous shared memory",
            io::Error::last_os_error(),
        )),
    }
}

/// For tests: from now on the file gets no memory beyond its end.
#[cfg(test)]
pub(crate) fn seal_against_growing(fd: BorrowedFd<'_>) {
    // SAFETY: the descriptor is open; F_ADD_SEALS takes an integer.
    let done = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_GROW) };
    assert_eq!(done, 0);
}

/// Opens the file at `path` if it can be an object of ours: a plain file with one name that only its owner, who is us,
/// may touch.
pub(crate) fn open_existing(path: &Path) -> Result<OwnedFd> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path);
    let file = opened.map_err(|cause| match cause.raw_os_error() {
        Some(libc::ELOOP) => refused(path, "is a symbolic link"),
        Some(libc::EISDIR) => refused(path, "is a directory"),
        _ => Error::os(format_args!("cannot open {}", path.display()), cause),
    })?;
    let file = OwnedFd::from(file);
    check_owner(&file, path)?;
    Ok(file)
}

fn check_owner(file: &OwnedFd, path: &Path) -> Result<()> {
    let meta = fd::metadata(file.as_fd())?;
    let me = user();
    if !meta.is_file() {
        return Err(refused(path, "is not a regular file"));
    }
    if meta.uid() != me {
        let owner = format!("belongs to user {}, not to user {me}", meta.uid());
        return Err(refused(path, &owner));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(refused(
            path,
            "is open to other users (its mode is not 0600)",
        ));
    }
    match meta.nlink() {
        0 => Err(Error::new(
            ErrorKind::NotFound,
            format!("{} was removed while it was opened", path.display()),
        )),
        1 => Ok(()),
        _ => Err(refused(path, "has a second name (a hard link)")),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        format!("{} {why}; it is not opened", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn private(path: &Path) {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn refusal(path: &Path) -> (ErrorKind, String) {
        let error = open_existing(path).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn a_private_file_opens_and_a_missing_one_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        assert_eq!(refusal(&path).0, ErrorKind::NotFound);
        private(&path);
        open_existing(&path).unwrap();
    }

    #[test]
    fn links_directories_and_open_modes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        private(&path);
        symlink(&path, dir.path().join("symlink")).unwrap();
        let (kind, text) = refusal(&dir.path().join("symlink"));
        assert_eq!(kind, ErrorKind::PermissionDenied);
        assert!(text.contains("symbolic link"), "{text}");
        fs::hard_link(&path, dir.path().join("second")).unwrap();
        assert!(refusal(&path).1.contains("second name"));
        fs::remove_file(dir.path().join("second")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(refusal(&path).1.contains("other users"));
        assert!(open_existing(dir.path()).is_err());
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if user() != 0 {
            return; // only root can make such a file that opens at all
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        private(&path);
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let (kind, text) = refusal(&path);
        assert_eq!(kind, ErrorKind::PermissionDenied);
        assert!(text.contains("belongs to user 65534"), "{text}");
    }

    #[test]
    fn a_fifo_is_refused_without_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: `name` is a NUL-terminated path.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(refusal(&path).1.contains("not a regular file"));
    }

    #[test]
    fn anonymous_memory_is_private_and_cannot_shrink_once_sealed() {
        let fd = anonymous("multiproc-test").unwrap();
        assert_eq!(fd::metadata(fd.as_fd()).unwrap().mode() & 0o777, 0o600);
        let file = File::from(fd);
        file.set_len(8192).unwrap();
        seal_against_shrinking(file.as_fd()).unwrap();
        assert!(file.set_len(4096).is_err());
        file.set_len(16384).unwrap();
    }
}
