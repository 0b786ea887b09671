//! Input that can be read only once, kept in a file when it is needed again.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::say;
use crate::walk::{Input, STDIN};

/// The named inputs, and the files that hold what came out of pipes.
#[derive(Debug)]
pub struct Spool {
    /// The inputs; those that can be read only once are replaced when `again` was asked for.
    pub named: Vec<Input>,
    _files: Vec<File>,
}

impl Spool {
    /// Takes the paths as named; with `again`, copies standard input and pipes into nameless files.
    ///
    /// # Errors
    ///
    /// What reading the pipe or writing the file says.
    pub fn new(paths: &[PathBuf], again: bool) -> io::Result<Self> {
        let (mut named, mut files) = (Vec::new(), Vec::new());
        for path in paths {
            if again && is_stream(path) {
                let file = nameless_copy(path)?;
                // The producers open it here: the path is good as long as this process holds the file.
                let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                named.push(Input {
                    path: path.into(),
                    any: true,
                });
                files.push(file);
            } else {
                named.push(Input::named(path.clone()));
            }
        }
        Ok(Spool {
            named,
            _files: files,
        })
    }
}

/// Whether reading it a second time would give something else.
fn is_stream(path: &Path) -> bool {
    let regular = |found: fs::Metadata| found.is_file() || found.is_dir();
    path.as_os_str() == STDIN || fs::metadata(path).is_ok_and(|found| !regular(found))
}

fn nameless_copy(path: &Path) -> io::Result<File> {
    let directory = std::env::temp_dir();
    let copied = nameless_file(&directory).and_then(|mut copy| {
        if path.as_os_str() == STDIN {
            io::copy(&mut io::stdin().lock(), &mut copy)?;
        } else {
            io::copy(&mut File::open(path)?, &mut copy)?;
        }
        Ok(copy)
    });
    copied.map_err(|error| {
        let from = say::printable(path.as_os_str().as_bytes());
        let to = directory.display();
        io::Error::other(format!(
            "{from} cannot be copied to {to}, to be read again: {error} (TMPDIR names another directory)"
        ))
    })
}

/// A file that only this user can read, and that is gone with its last descriptor.
fn nameless_file(directory: &Path) -> io::Result<File> {
    let path = directory.join(format!("multiproc-spool-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
