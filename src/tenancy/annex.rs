//! Annexes: the objects of a manager that have a segment of their own, such as queues and locks.
//!
//! An annex is a named object that outlives its own members and goes with its manager. Its name says which manager that is
//! and in which row of the directory the object stands: `annex.<id of the segment>.<its device>.<its inode>.<row>`. The id
//! is random, so nobody hits on such a name by chance. Whether the manager lives is asked of the kernel, which knows who has a byte of its
//! file locked.
//!
//! | dies | left | who removes it |
//! |---|---|---|
//! | its maker, before the row says what it is | a row that says that it was begun | the next to make an object there, or the end of the manager |
//! | the last member of the manager, before all annexes are removed | annexes of nobody's | `gc`, or the next manager to make its first one |
//! | every member at once | the same, and the file of a named manager | the same, or who opens or makes that manager |

use crate::error::Result;
use crate::heap::objects_in;
use crate::segment::layout::Offset;
use crate::segment::name::{Directory, Name};
use crate::segment::{Kind, Segment};
use crate::sys::atomic::{AtomicU32, Ordering::Acquire};
use crate::sys::{fd, ofd};
use crate::tenancy::naming;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Where in the row of a manager's object its sort lies.
pub(crate) const OBJECT_SORT: u64 = 48;

/// The sorts from here on are of annexes.
pub(crate) const FIRST_ANNEX: u32 = 9;

/// The sort of a row whose annex is being made: there may be a file, and there is no object yet.
pub(crate) const ANNEX_BEGUN: u32 = u32::MAX;

const PREFIX: &str = "annex";

/// The manager to which an annex belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    id: u64,
    device: u64,
    inode: u64,
}

impl Owner {
    /// The manager in a segment.
    pub(super) fn of(segment: &Segment) -> Result<Self> {
        let file = fd::metadata(segment.fd())?;
        Ok(Owner {
            id: segment.id(),
            device: file.dev(),
            inode: file.ino(),
        })
    }

    /// What its annex in that row is called.
    pub(super) fn annex(self, row: u32) -> String {
        let Owner { id, device, inode } = self;
        format!("{PREFIX}.{id:016x}.{device:x}.{inode:x}.{row:x}")
    }

    /// Whose annex has that name, if it is one's.
    pub(super) fn by(name: &Name) -> Option<Self> {
        let mut parts = name.as_str().strip_prefix(PREFIX)?.split('.').skip(1);
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (id, device, inode, row) = (number()?, number()?, number()?, number()?);
        let owner = Owner { id, device, inode };
        (owner.annex(u32::try_from(row).ok()?) == name.as_str()).then_some(owner)
    }

    /// Whether it is certain that the manager is gone: it has no name here, and no process is a member.
    ///
    /// Looks a few times: the kernel lists its locks piece by piece, and what others unlock meanwhile may hide one.
    fn is_gone(self, directory: &Directory) -> bool {
        const LOOKS: usize = 3;
        let locked = || ofd::is_locked_by_anybody(self.device, self.inode);
        !self.is_in(directory) && (0..LOOKS).all(|_| locked() == Some(false))
    }

    fn is_in(self, directory: &Directory) -> bool {
        let names = directory.list().unwrap_or_default();
        let same = |name: &&Name| {
            let file = fs::symlink_metadata(directory.path_of(name));
            file.is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
        };
        let mut files = names.iter().filter(same).map(|name| directory.open(name));
        files.any(|file| {
            let segment = file.and_then(|file| Segment::open(file, None));
            segment.is_ok_and(|segment| segment.id() == self.id)
        })
    }
}

/// Whether an object of that name stays although nobody has it open.
pub(super) fn keeps(directory: &Directory, name: &Name) -> bool {
    Owner::by(name).is_some_and(|owner| !owner.is_gone(directory))
}

/// Whether it is the name of an annex.
pub(super) fn is_annex(name: &Name) -> bool {
    Owner::by(name).is_some()
}

/// The rows of a manager in which there are annexes, or may be.
fn rows(segment: &Arc<Segment>) -> impl Iterator<Item = u32> {
    let is_manager = segment.geometry().kind == Kind::Manager;
    let rows = is_manager.then(|| (0..).zip(objects_in(segment)));
    let is_annex = |&(_, place): &(u32, u64)| {
        let sort = segment.get(Offset::<AtomicU32>::new(place + OBJECT_SORT));
        // Acquire: pairs with the Release by which the row's maker began.
        sort.is_some_and(|sort| sort.load(Acquire) >= FIRST_ANNEX)
    };
    rows.into_iter()
        .flatten()
        .filter(is_annex)
        .map(|(index, _)| index)
}

/// Whether the manager in a segment has annexes. No other segment has.
pub(super) fn has_any(segment: &Arc<Segment>) -> bool {
    rows(segment).next().is_some()
}

/// Takes the names of all annexes away from the manager in a segment, which has ended.
pub(super) fn remove_all(segment: &Arc<Segment>, directory: &Directory) {
    let Ok(owner) = Owner::of(segment) else {
        return; // they are left to `gc`
    };
    for row in rows(segment) {
        if let Ok(name) = Name::parse(&owner.annex(row)) {
            let _ = naming::unlink(directory, &name); // what stays is left to `gc`
        }
    }
}

/// Removes the annexes of managers that have ended without doing so.
pub(crate) fn remove_deserted() {
    let Ok(directory) = Directory::of_user() else {
        return;
    };
    let names = directory.list().unwrap_or_default();
    for name in names.iter().filter(|name| is_annex(name)) {
        let _ = naming::remove_abandoned(&directory, name); // what stays is left to `gc`
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_annexes_say_whose_they_are() {
        let owner = Owner {
            id: 0x0123_4567_89ab_cdef,
            device: 1,
            inode: 77,
        };
        let name = Name::parse(&owner.annex(4095)).unwrap();
        assert_eq!(Owner::by(&name), Some(owner));
        for other in [
            "annex",
            "annex.1.2.3.4",
            "annexes.0123456789abcdef.1.4d.fff",
            "annex.0123456789abcdef.1.4d.fff.0",
            "annex.0123456789abcdef.1.4D.fff",
            "jobs",
        ] {
            assert!(!is_annex(&Name::parse(other).unwrap()), "{other}");
        }
    }
}
