//! Taking names away: from objects that nobody uses any more, and on request.
//!
//! Every unlinking holds the nameplate of the file it unlinks (see `locks`). So between the look at what the name
//! means and the unlinking the name cannot come to mean another file: that needs an unlinking of this one first.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::name::{Directory, Name};
use crate::segment::{Expect, Kind, Segment};
use crate::sys::clock::Deadline;
use crate::sys::fd;
use crate::sys::step::step;
use crate::tenancy::MODE_PERSIST;
use crate::tenancy::annex;
use crate::tenancy::locks::Held;
use crate::tenancy::roster::cannot_lock;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another process that is unlinking the same file.
const PATIENCE: Duration = Duration::from_millis(100);

/// Whether the file has a name, any name.
pub(super) fn has_name(file: BorrowedFd<'_>) -> bool {
    fd::metadata(file).is_ok_and(|meta| meta.nlink() > 0)
}

/// Directory and name of the file if it is a named object; `None` for anonymous and removed ones.
pub(super) fn home_of(file: BorrowedFd<'_>) -> Option<(Directory, Name)> {
    if !has_name(file) {
        return None; // anonymous memory has none from the start
    }
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let name = Name::parse(path.file_name()?.to_str()?).ok()?;
    let directory = Directory::at(path.parent()?.to_owned()).ok()?;
    directory.names(&name, file).then_some((directory, name))
}

/// Removes the name and ends the object; the caller holds everything, so that nobody has it open as a member.
///
/// In this order, so that a name never leads to an object that takes no members, nor to a manager without its annexes.
pub(super) fn bury(segment: &Arc<Segment>, directory: &Directory, name: &Name) {
    if segment.geometry().kind == Kind::Listener {
        directory.remove_socket(segment.id()); // first: without the name nobody would find it
    }
    if directory.names(name, segment.fd()) && directory.remove(name).is_err() {
        return; // it stays whole, for whoever can remove it
    }
    end(segment, directory);
}

/// Ends an object that has no name; the caller holds everything. What stands beside a manager in the directory goes with it.
pub(super) fn end(segment: &Arc<Segment>, directory: &Directory) {
    step("naming.bury");
    segment.header().bury();
    annex::remove_all(segment, directory);
}

/// What there is under a name, after it was removed if nobody needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was abandoned; the name is free now.
    Removed,
    /// Nothing has that name.
    Absent,
    /// Somebody lives there, joins, or cleans up.
    Lives,
    /// Nobody lives there, and it stays on purpose.
    Stays,
}

/// Removes the object `name` if nobody lives there and it does not stay on purpose.
pub(super) fn remove_abandoned(directory: &Directory, name: &Name) -> Result<Fate> {
    let file = match directory.open(name) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(Fate::Absent),
        opened => opened?,
    };
    let Some(_alone) = Held::everything(file.as_fd()).map_err(cannot_lock)? else {
        return Ok(Fate::Lives);
    };
    // A second descriptor of the same description, since one of an earlier boot has no segment to hold the locks.
    let copy = file
        .try_clone()
        .map_err(|cause| Error::os("cannot examine an object", cause))?;
    match Segment::open(copy, None).map(Arc::new) {
        Ok(segment) if segment.geometry().mode & MODE_PERSIST != 0 => return Ok(Fate::Stays),
        Ok(_) if annex::keeps(directory, name) => return Ok(Fate::Stays),
        Ok(segment) => bury(&segment, directory, name),
        Err(outdated) if outdated.kind() == ErrorKind::Gone => {
            if directory.names(name, file.as_fd()) {
                directory.remove(name)?;
            }
        }
        Err(foreign) => return Err(foreign),
    }
    Ok(Fate::Removed)
}

/// Removes the name whoever has the object open. A manager that nobody has open ends, and with it its annexes.
pub(super) fn remove(directory: &Directory, name: &Name) -> Result<()> {
    let file = unlink(directory, name)?;
    let manager = Expect::any(Kind::Manager);
    if let Ok(segment) = Segment::open(file, Some(&manager)).map(Arc::new)
        && annex::has_any(&segment)
        && let Ok(Some(_alone)) = Held::everything(segment.fd())
    {
        end(&segment, directory);
    }
    Ok(())
}

/// Removes the name whoever has the object open, and nothing else; returns its file.
pub(super) fn unlink(directory: &Directory, name: &Name) -> Result<OwnedFd> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let file = directory.open(name)?;
        if remove_named(directory, name, file.as_fd())? {
            return Ok(file);
        }
        if deadline.expired() {
            let text = format!("{name} is being removed by a process that does not go on");
            return Err(Error::new(ErrorKind::Timeout, text));
        }
        std::thread::yield_now();
    }
}

/// Removes the name if it is still this file's, and nobody else is at it; says whether it has.
fn remove_named(directory: &Directory, name: &Name, file: BorrowedFd<'_>) -> Result<bool> {
    let nameplate = Held::nameplate(file).map_err(cannot_lock)?;
    if nameplate.is_none() || !directory.names(name, file) {
        return Ok(false);
    }
    directory.remove(name)?;
    Ok(true)
}
