//! Reading one file, record by record: what a producer does, and the baseline in one process too.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::record::{Produced, Record, Task};
use crate::say;
use crate::split::Splitter;
use crate::walk::STDIN;

/// Reads the file of `task` and hands every record to `each`.
///
/// What is wrong with a file is said and counted, the first time that it is read; it never ends the job.
///
/// # Errors
///
/// Only what `each` returns.
pub fn read<E>(
    task: &Task,
    record: &mut Record,
    produced: &mut Produced,
    mut each: impl FnMut(&mut Record) -> Result<(), E>,
) -> Result<(), E> {
    let path = task.path();
    let end = match open(path) {
        Ok(splitter) if !task.any && splitter.is_binary() => End::Binary,
        Ok(mut splitter) => loop {
            match splitter.next(&mut record.block) {
                Ok(Some(position)) => (record.file, record.position) = (task.file, position),
                Ok(None) => break End::Read,
                Err(error) => break End::Failed(error),
            }
            produced.records += 1;
            each(record)?;
        },
        Err(error) => End::Failed(error),
    };
    if task.first {
        produced.note(end, path);
    }
    Ok(())
}

/// How reading a file ended.
enum End {
    Read,
    Binary,
    Failed(io::Error),
}

impl Produced {
    /// Counts a file, and says what was wrong with it.
    fn note(&mut self, end: End, path: &Path) {
        match end {
            End::Read => self.files += 1,
            End::Binary => self.binary += 1,
            End::Failed(error) => {
                self.failed += 1;
                say::unreadable(path, &error);
            }
        }
    }
}

impl Task {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// The size of the file, 0 when that is not known.
    pub fn size(&self) -> u64 {
        std::fs::metadata(self.path()).map_or(0, |found| found.len())
    }
}

fn open(path: &Path) -> io::Result<Splitter<Box<dyn Read>>> {
    let source: Box<dyn Read> = if path.as_os_str() == STDIN {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    Splitter::new(source)
}
