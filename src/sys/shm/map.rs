//! A shared, writable mapping of a file.

use super::PAGE;
use crate::error::{Error, Result};
use crate::sys::fd;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// A part of a file in this process's address space; unmapped on drop.
///
/// It may reach beyond the end of the file, so that a file can grow without being mapped again. Touching memory that
/// the file does not have yet is SIGBUS: [`allocate`](super::allocate) comes first.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
    /// What was asked for.
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes (not 0) from `offset` (a multiple of the page size) of the file, and keeps them out of core
    /// dumps: a death is announced only after the dump is written, and gigabytes of queue would delay it.
    ///
    /// It refers to an open file description of its own, where one can be had: a forked child inherits the mapping, and
    /// would keep the locks of `file` with it, so that its parent would look alive when it is dead.
    pub(crate) fn new(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self> {
        let apart = fd::reopen(file);
        let file = apart.as_ref().map_or(file, AsFd::as_fd);
        let map = MmapOptions::new()
            .offset(offset)
            .len(apart_from_the_next(len))
            .map_raw(file.as_raw_fd())
            .map_err(|cause| {
                Error::os(
                    format_args!("cannot map {len} bytes of shared memory (address space limit?)"),
                    cause,
                )
            })?;
        let _ = map.advise(Advice::DontDump); // a wish; nothing is wrong without it
        Ok(Mapping { map, len })
    }

    /// The first byte.
    #[inline]
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: mmap never places a mapping at address zero unless asked to.
        unsafe { NonNull::new_unchecked(self.map.as_mut_ptr()) }
    }

    /// The length in bytes, including what lies beyond the end of the file.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes `range`, if they lie in the mapping.
    #[inline]
    pub(crate) fn bytes(&self, range: Range<usize>) -> Option<NonNull<[u8]>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        // SAFETY: `start` is at most the length, so the sum stays within the mapping or one past its end.
        let first = unsafe { self.start().add(range.start) };
        Some(NonNull::slice_from_raw_parts(first, range.len()))
    }

    /// Asks for huge pages; the kernel decides (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`).
    pub(crate) fn prefer_huge_pages(&self) {
        let _ = self.map.advise(Advice::HugePage); // a wish
    }

    /// Takes the page faults of `range`, which the file must have, now and not at first use.
    ///
    /// `false` if the kernel is older than 5.14 or memory ran out: the faults then come at first use.
    pub(crate) fn populate(&self, range: Range<usize>) -> bool {
        self.bytes(range.clone()).is_some()
            && self
                .map
                .advise_range(Advice::PopulateWrite, range.start, range.len())
                .is_ok()
    }
}

/// How much to map for `len` bytes: an odd number of pages, so that of many mappings in a row, which come to lie one behind
/// the other, the same pages do not compete for the same places of a processor's cache of addresses. Where huge pages may
/// be, the length stays.
fn apart_from_the_next(len: usize) -> usize {
    const HUGE: usize = 2 << 20;
    let pages = len.div_ceil(PAGE as usize) | 1;
    if len < HUGE {
        pages * PAGE as usize
    } else {
        len
    }
}

#[cfg(test)]
mod tests {
    use super::super::{allocate, anonymous};
    use super::*;
    use crate::error::ErrorKind;
    use crate::sys::identity::{self, Participant};
    use std::os::fd::AsFd;

    #[test]
    fn two_mappings_of_a_file_are_the_same_memory() {
        let file = anonymous("multiproc-test").unwrap();
        allocate(file.as_fd(), 0, 8192).unwrap();
        let whole = Mapping::new(file.as_fd(), 0, 8192).unwrap();
        let second_page = Mapping::new(file.as_fd(), 4096, 4096).unwrap();
        // SAFETY: both bytes lie in mapped, allocated memory that nobody else touches.
        unsafe {
            whole.start().add(4096).write(7);
            assert_eq!(second_page.start().read(), 7);
        }
    }

    #[test]
    fn a_mapping_may_be_longer_than_its_file() {
        let file = anonymous("multiproc-test").unwrap();
        let map = Mapping::new(file.as_fd(), 0, 1 << 30).unwrap();
        allocate(file.as_fd(), 4096, 4096).unwrap();
        assert!(map.populate(4096..8192));
        assert!(!map.populate(1 << 20..2 << 20));
        assert!(!map.populate(0..usize::MAX));
        // SAFETY: the byte lies in the page that was just allocated.
        assert_eq!(unsafe { map.start().add(4096).read() }, 0);
    }

    #[test]
    fn ranges_are_bounded() {
        let file = anonymous("multiproc-test").unwrap();
        let map = Mapping::new(file.as_fd(), 0, 4096).unwrap();
        assert!(map.bytes(0..4096).is_some());
        assert!(map.bytes(0..4097).is_none());
        #[expect(clippy::reversed_empty_ranges, reason = "hostile input")]
        let reversed = map.bytes(10..9);
        assert!(reversed.is_none());
    }

    #[test]
    fn an_impossible_mapping_is_an_error() {
        let file = anonymous("multiproc-test").unwrap();
        let error = Mapping::new(file.as_fd(), 0, isize::MAX as usize).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::Os));
    }

    #[test]
    fn a_mapping_does_not_keep_the_locks_of_a_descriptor() {
        let file = anonymous("locked").unwrap();
        allocate(file.as_fd(), 0, 4096).unwrap();
        let watcher = fd::reopen(file.as_fd()).unwrap();
        let alive = || identity::is_alive(watcher.as_fd(), Participant::FIRST);
        let map = Mapping::new(file.as_fd(), 0, 4096).unwrap();
        assert!(identity::lock_own(file.as_fd(), Participant::FIRST).unwrap());
        assert!(alive());
        drop(file); // as the hook does in a forked child
        assert!(!alive());
        drop(map);
    }
}
