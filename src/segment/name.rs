//! Names of objects, and the private directory where the named ones are.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::fd;
use crate::sys::identity::user;
use crate::sys::shm::{TmpFile, open_existing};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The name of an object: 1 to 200 characters of `A-Z a-z 0-9 . _ -`, the first of them not a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

const LONGEST: usize = 200;

impl Name {
    /// Accepts a name, or says what is wrong with it.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fault = if name.is_empty() {
            "is empty"
        } else if name.len() > LONGEST {
            "has more than 200 characters"
        } else if name.starts_with('.') {
            "begins with a dot"
        } else if !name.bytes().all(allowed) {
            "has characters other than letters, digits, '.', '_' and '-'"
        } else {
            return Ok(Name(name.to_owned()));
        };
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the name {:?} {fault}", name.get(..LONGEST).unwrap_or(name)),
        ))
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory of this user's named objects: nobody else can enter it.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// `$MULTIPROC_DIR`, or `/dev/shm/multiproc-<uid>`; made if it is missing, refused if others could get in.
    ///
    /// The directory is examined once: nobody but this user and the administrator can put another one in its place.
    pub(crate) fn of_user() -> Result<Self> {
        static EXAMINED: Mutex<Option<(u32, Directory)>> = Mutex::new(None);
        let chosen = std::env::var_os("MULTIPROC_DIR").filter(|dir| !dir.is_empty());
        let user = user();
        let path = chosen.map_or_else(
            || PathBuf::from(format!("/dev/shm/multiproc-{user}")),
            PathBuf::from,
        );
        // Never waits: in a forked child the mutex may be locked for ever, and then it examines for itself.
        if let Ok(known) = EXAMINED.try_lock()
            && let Some((owner, directory)) = &*known
            && (*owner, &directory.path) == (user, &path)
        {
            return Ok(directory.clone());
        }
        let directory = Self::at(path)?;
        if let Ok(mut known) = EXAMINED.try_lock() {
            *known = Some((user, directory.clone()));
        }
        Ok(directory)
    }

    /// The same for a directory of the caller's choice.
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                let what = format!(
                    "cannot make {} for named objects (MULTIPROC_DIR names another directory)",
                    path.display()
                );
                Err(Error::os(what, cause))
            }
            _ => Self::checked(path),
        }
    }

    fn checked(path: PathBuf) -> Result<Self> {
        let meta = fs::symlink_metadata(&path)
            .map_err(|cause| Error::os(format_args!("cannot use {}", path.display()), cause))?;
        let fault = if !meta.is_dir() {
            "is not a directory"
        } else if meta.uid() != user() {
            "belongs to another user"
        } else if meta.mode() & 0o077 != 0 {
            "is open to other users (it must be a directory of its own, with mode 700)"
        } else {
            return Ok(Directory { path });
        };
        Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "{} {fault}; no named objects are kept there",
                path.display()
            ),
        ))
    }

    /// Where the directory is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the object `name` is.
    pub(crate) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(name.as_str())
    }

    /// A new file that has no name yet.
    pub(crate) fn create(&self) -> Result<TmpFile> {
        match TmpFile::create_in(&self.path) {
            // Somebody has tidied up since the directory was examined.
            Err(gone) if gone.kind() == ErrorKind::NotFound => {
                Self::at(self.path.clone())?;
                TmpFile::create_in(&self.path)
            }
            done => done,
        }
    }

    /// Opens the file of an object, with every suspicion.
    pub(crate) fn open(&self, name: &Name) -> Result<OwnedFd> {
        open_existing(&self.path_of(name)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let text = format!("there is no object named {name} in {}", self.path.display());
                Error::new(ErrorKind::NotFound, text).with_source(error)
            }
            _ => error,
        })
    }

    /// Removes the name; those who have the object open keep it. `false` if there was none.
    pub(crate) fn remove(&self, name: &Name) -> Result<bool> {
        crate::sys::step::step("name.remove");
        match fs::remove_file(self.path_of(name)) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(Error::os(format_args!("cannot remove {name}"), cause)),
        }
    }

    /// What the socket of the listener `id` is called here; no object can have such a name.
    pub(crate) fn socket_of(id: u64) -> String {
        format!("{}{id:016x}", Self::SOCKET)
    }

    const SOCKET: &str = ".socket-";

    /// Removes the socket of the listener `id`, if it has one still.
    pub(crate) fn remove_socket(&self, id: u64) {
        crate::sys::step::step("name.remove.socket");
        let _ = fs::remove_file(self.path.join(Self::socket_of(id))); // what stays is refused, and swept
    }

    /// The sockets of listeners, those of dead ones too.
    pub(crate) fn sockets(&self) -> Result<Vec<String>> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter(|name| name.starts_with(Self::SOCKET))
            .collect())
    }

    /// Whether `name` still is the file `fd`: a waiter may find that it opened one that was removed meanwhile.
    pub(crate) fn names(&self, name: &Name, file: BorrowedFd<'_>) -> bool {
        let Ok(open) = fd::metadata(file) else {
            return false;
        };
        let same = |named: fs::Metadata| (named.dev(), named.ino()) == (open.dev(), open.ino());
        open.nlink() > 0 && fs::symlink_metadata(self.path_of(name)).is_ok_and(same)
    }

    /// The names of all objects, in order.
    pub(crate) fn list(&self) -> Result<Vec<Name>> {
        let mut names: Vec<Name> = self
            .entries()?
            .iter()
            .flat_map(|n| Name::parse(n))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Files under construction by a process that may have died: paths with a temporary name.
    pub(crate) fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let entries = self.entries()?.into_iter();
        let temporary = entries.filter(|name| name.starts_with(TmpFile::TEMPORARY));
        Ok(temporary.map(|name| self.path.join(name)).collect())
    }

    fn entries(&self) -> Result<Vec<String>> {
        let failed = |cause| Error::os(format_args!("cannot list {}", self.path.display()), cause);
        let entries = fs::read_dir(&self.path).map_err(failed)?;
        let name = |entry: io::Result<fs::DirEntry>| match entry {
            Ok(entry) => entry.file_name().into_string().ok().map(Ok),
            Err(cause) => Some(Err(failed(cause))),
        };
        entries.filter_map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn good_names_are_accepted_and_bad_ones_explained() {
        for good in ["jobs", "a", "A-1_b.c", &"x".repeat(200)] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a b",
            "é",
            "a\0",
            &"x".repeat(201),
        ] {
            let error = Name::parse(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }

    #[test]
    fn a_directory_is_made_private_and_stays_so() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("objects");
        let dir = Directory::at(path.clone()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
        Directory::at(path.clone()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        let error = Directory::at(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn links_and_files_are_no_directory() {
        let parent = tempfile::tempdir().unwrap();
        let (link, file) = (parent.path().join("link"), parent.path().join("file"));
        symlink(parent.path(), &link).unwrap();
        fs::write(&file, "").unwrap();
        for path in [link, file] {
            let error = Directory::at(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
    }

    #[test]
    fn objects_are_listed_opened_and_removed_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let dir = Directory::at(parent.path().join("objects")).unwrap();
        let (a, b) = (Name::parse("a").unwrap(), Name::parse("b").unwrap());
        dir.create().unwrap().link_as("b").unwrap();
        dir.create().unwrap().link_as("a").unwrap();
        fs::write(dir.path().join(".new-0"), "").unwrap();
        assert_eq!(dir.list().unwrap(), [a.clone(), b]);
        assert_eq!(dir.unfinished().unwrap(), [dir.path().join(".new-0")]);
        let file = dir.open(&a).unwrap();
        assert!(dir.names(&a, file.as_fd()));
        assert!(dir.remove(&a).unwrap());
        assert!(!dir.remove(&a).unwrap());
        assert!(!dir.names(&a, file.as_fd()));
        assert_eq!(dir.open(&a).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
