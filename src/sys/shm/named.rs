//! Named files that are born complete: made without a name, and linked when every byte is in place.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::fd::result_of;
use crate::sys::identity::random_u64;
use crate::sys::step::step;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that has no name yet. Dropped, or its process killed, nothing of it is left.
///
/// Where the file system lacks `O_TMPFILE` it has a temporary name instead, which begins with
/// [`TEMPORARY`](TmpFile::TEMPORARY) and which a crash leaves behind for the sweep.
#[derive(Debug)]
pub(crate) struct TmpFile {
    file: OwnedFd,
    dir: PathBuf,
    temporary: Option<PathBuf>,
}

impl TmpFile {
    /// How temporary names begin; no object's name can.
    pub(crate) const TEMPORARY: &'static str = ".new-";

    /// A new, empty, nameless file in `dir`, with mode 0600.
    pub(crate) fn create_in(dir: &Path) -> Result<Self> {
        let file = open_new(libc::O_TMPFILE, dir);
        match file {
            Ok(file) => Ok(TmpFile {
                file,
                dir: dir.to_owned(),
                temporary: None,
            }),
            Err(cause) if lacks_tmpfile(&cause) => Self::create_with_temporary_name(dir),
            Err(cause) => Err(Error::os(
                format_args!("cannot create a file in {}", dir.display()),
                cause,
            )),
        }
    }

    fn create_with_temporary_name(dir: &Path) -> Result<Self> {
        let path = dir.join(format!("{}{:016x}", Self::TEMPORARY, random_u64()));
        let file = open_new(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, &path)
            .map_err(|cause| Error::os(format_args!("cannot create {}", path.display()), cause))?;
        Ok(TmpFile {
            file,
            dir: dir.to_owned(),
            temporary: Some(path),
        })
    }

    /// The file, to be filled before it is linked.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Another descriptor of the same open file description: a lock taken through it holds after linking.
    pub(crate) fn share(&self) -> Result<OwnedFd> {
        self.file
            .try_clone()
            .map_err(|cause| Error::os("cannot duplicate a shared-memory descriptor", cause))
    }

    /// Gives the file its name: the one step at which the object begins to exist for others.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is a file of that name, which is left as it is.
    pub(crate) fn link_as(mut self, name: &str) -> Result<()> {
        let target = self.dir.join(name);
        step("shm.link");
        let linked = match &self.temporary {
            Some(temporary) => rename_to_new(temporary, &target),
            None => link(self.fd(), &target),
        };
        linked.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => Error::new(
                ErrorKind::AlreadyExists,
                format!("{} exists already", target.display()),
            ),
            _ => Error::os(format_args!("cannot create {}", target.display()), cause),
        })?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary {
            let _ = fs::remove_file(path); // somebody may have swept it
        }
    }
}

fn open_new(flags: i32, path: &Path) -> io::Result<OwnedFd> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(flags | libc::O_CLOEXEC)
        .open(path)
        .map(OwnedFd::from)
}

/// `O_TMPFILE` contains `O_DIRECTORY`, so kernels and file systems without it complain about opening a directory.
fn lacks_tmpfile(cause: &io::Error) -> bool {
    matches!(
        cause.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
    )
}

fn link(file: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    // Allowed to the opener since Linux 6.10, to the privileged before, and several times as fast as by way of /proc.
    let linked = link_at(file.as_raw_fd(), "", target, libc::AT_EMPTY_PATH);
    match linked {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let by_proc = format!("/proc/self/fd/{}", file.as_raw_fd());
            link_at(libc::AT_FDCWD, &by_proc, target, libc::AT_SYMLINK_FOLLOW)
        }
        other => other,
    }
}

fn link_at(from: i32, path: &str, target: &Path, flags: i32) -> io::Result<()> {
    let path = CString::new(path)?;
    let target = c_path(target)?;
    // SAFETY: both paths are NUL-terminated strings that outlive the call.
    let done = unsafe { libc::linkat(from, path.as_ptr(), libc::AT_FDCWD, target.as_ptr(), flags) };
    result_of(done)
}

fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both paths are NUL-terminated strings that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    result_of(done as i32)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    fn both_kinds(dir: &Path) -> [TmpFile; 2] {
        [
            TmpFile::create_in(dir).unwrap(),
            TmpFile::create_with_temporary_name(dir).unwrap(),
        ]
    }

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_file_appears_complete() {
        let dir = tempfile::tempdir().unwrap();
        for (i, tmp) in both_kinds(dir.path()).into_iter().enumerate() {
            let name = format!("object-{i}");
            File::from(tmp.file.try_clone().unwrap())
                .write_all(b"whole")
                .unwrap();
            tmp.link_as(&name).unwrap();
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"whole");
        }
        assert_eq!(names(dir.path()), 2);
    }

    #[test]
    fn the_second_to_link_loses() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taken"), "first").unwrap();
        for tmp in both_kinds(dir.path()) {
            let error = tmp.link_as("taken").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(dir.path().join("taken")).unwrap(), b"first");
        assert_eq!(names(dir.path()), 1);
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(both_kinds(dir.path()));
        assert_eq!(names(dir.path()), 0);
    }

    #[test]
    fn a_missing_directory_is_not_found() {
        let error = TmpFile::create_in(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
