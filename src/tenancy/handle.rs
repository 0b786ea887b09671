//! A shared object in 32 bytes: what a message or the arguments of a process carry instead of the object.
//!
//! The receiver looks for the object where it can be, most likely place first: among its own, among the descriptors it
//! inherited, in the process that sent the handle, under a name, and last in any process of the same user that holds
//! it. Every file found is checked for inode and id, as pids, descriptors and inode numbers are used again.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::Segment;
use crate::segment::name::Directory;
use crate::sys::atfork::ForkMutex;
use crate::sys::{fd, identity, shm};
use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::Path;

/// What travels. Plain numbers in the machine's byte order: sender and receiver share the machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawHandle {
    /// The segment's random id.
    pub(crate) segment: u64,
    pub(crate) inode: u64,
    /// Where the sender had the file.
    pub(crate) pid: u32,
    pub(crate) fd: i32,
    /// The object's place in a segment that holds several, 0 otherwise.
    pub(crate) offset: u32,
    pub(crate) kind: u16,
    /// The generation of the block at `offset`.
    pub(crate) generation: u16,
}

const _: () = assert!(size_of::<RawHandle>() == RawHandle::LEN);

impl RawHandle {
    /// The length in bytes.
    pub(crate) const LEN: usize = 32;

    /// The bytes that travel.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.segment.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.inode.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.pid.to_ne_bytes());
        bytes[20..24].copy_from_slice(&self.fd.to_ne_bytes());
        bytes[24..28].copy_from_slice(&self.offset.to_ne_bytes());
        bytes[28..30].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[30..].copy_from_slice(&self.generation.to_ne_bytes());
        bytes
    }

    /// The handle that [`to_bytes`](RawHandle::to_bytes) wrote; any bytes are a handle, if not one of anything.
    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        let long = |at: usize| u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| bytes[at + i]));
        RawHandle {
            segment: long(0),
            inode: long(8),
            pid: word(16),
            fd: word(20) as i32,
            offset: word(24),
            kind: half(28),
            generation: half(30),
        }
    }
}

/// The descriptors that this process was given for objects it has not attached to yet.
static INHERITED: ForkMutex<Option<HashMap<u64, OwnedFd>>> = ForkMutex::new(None, || None);

/// Notes a descriptor of the segment `id` that was inherited, or came through a socket.
pub(crate) fn inherit(id: u64, fd: OwnedFd) {
    INHERITED.lock().get_or_insert_default().insert(id, fd);
}

/// Closes the inherited descriptor of the segment `id`, if it was not used: this process has the segment already.
pub(crate) fn disinherit(id: u64) {
    let unused = INHERITED.lock().as_mut().and_then(|all| all.remove(&id));
    drop(unused); // outside of the lock
}

/// Closes what was inherited and not used: once the arguments are attached nothing else refers to it.
pub(crate) fn forget_inherited() {
    let unused = INHERITED.lock().take();
    drop(unused);
}

/// The segment that `handle` names, opened through a description of its own.
///
/// # Errors
///
/// `Gone` when no process that can be asked holds the object any more, `PermissionDenied` when its holder may not be
/// asked.
pub(super) fn find(handle: &RawHandle) -> Result<Segment> {
    if let Some(found) = from_inherited(handle) {
        return Ok(found);
    }
    let refusal = match from_sender(handle) {
        Ok(Some(found)) => return Ok(found),
        Ok(None) => None,
        Err(refusal) => Some(refusal),
    };
    let elsewhere = from_directory(handle).or_else(|| from_any_holder(handle));
    elsewhere.ok_or_else(|| refusal.unwrap_or_else(|| gone(handle)))
}

#[cold]
fn gone(handle: &RawHandle) -> Error {
    let RawHandle { segment, pid, .. } = handle;
    Error::new(
        ErrorKind::Gone,
        format!(
            "the shared object {segment:016x} that process {pid} sent is gone: no process holds it any more; \
             its sender must keep it until the receiver has attached"
        ),
    )
}

/// The segment in `file`, if it is the right one.
fn verified(file: OwnedFd, handle: &RawHandle) -> Option<Segment> {
    if fd::inode(file.as_fd()).ok()? != handle.inode {
        return None;
    }
    let segment = Segment::open(file, None).ok()?;
    (segment.id() == handle.segment).then_some(segment)
}

fn from_inherited(handle: &RawHandle) -> Option<Segment> {
    let inherited = INHERITED.lock().as_mut()?.remove(&handle.segment)?;
    verified(fd::reopen(inherited.as_fd()).ok()?, handle)
}

/// An error only if the sender may have it and may not be asked.
fn from_sender(handle: &RawHandle) -> Result<Option<Segment>> {
    match fd::open_from_pid(handle.pid, handle.fd, handle.inode) {
        Ok(file) => Ok(verified(file, handle)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Err(_) => Ok(None),
    }
}

/// Named objects stand in the directory of this user.
fn from_directory(handle: &RawHandle) -> Option<Segment> {
    let directory = Directory::of_user().ok()?;
    let entries = fs::read_dir(directory.path()).ok()?.flatten();
    let mut same = entries.filter(|entry| entry.ino() == handle.inode);
    same.find_map(|entry| verified(shm::open_existing(&entry.path()).ok()?, handle))
}

/// The last resort: whoever of this user's processes holds it. A walk through `/proc`, some microseconds per process.
fn from_any_holder(handle: &RawHandle) -> Option<Segment> {
    let me = identity::current_pid();
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| pid != me)
        .find_map(|pid| from_holder(pid, handle))
}

fn from_holder(pid: u32, handle: &RawHandle) -> Option<Segment> {
    let mut fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    fds.find_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<i32>().ok()?;
        if !looks_right(&entry.path(), handle) {
            return None;
        }
        verified(fd::open_from_pid(pid, number, handle.inode).ok()?, handle)
    })
}

/// Whether the link reads like the object: by its label if it is anonymous, else by its inode.
fn looks_right(link: &Path, handle: &RawHandle) -> bool {
    let Ok(target) = fs::read_link(link) else {
        return false;
    };
    match target.to_string_lossy().strip_prefix("/memfd:multiproc-") {
        Some(rest) => rest.starts_with(&format!("{:016x}", handle.segment)),
        None => fs::metadata(link).is_ok_and(|meta| meta.is_file() && meta.ino() == handle.inode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_its_bytes() {
        let handle = RawHandle {
            segment: 0x0123_4567_89ab_cdef,
            inode: u64::MAX,
            pid: 7,
            fd: -1,
            offset: 1 << 31,
            kind: 513,
            generation: 65_535,
        };
        assert_eq!(RawHandle::from_bytes(&handle.to_bytes()), handle);
    }
}
