//! The named objects of one manager: rows of 128 bytes, each with a name, what it is, and a cell.
//!
//! A row is found without a lock; who makes one holds the manager's first lock, which the kernel takes from the dead. Rows are
//! never given back: an object lasts as long as its manager.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | the name, the first value | a row of no kind | the next to make an object writes it over |
//! | an annex was begun | a row that says so, and perhaps a file | the same, after removing the file; or the manager's end |
//! | the kind | the object | nothing to repair |

use super::core::Core;
use crate::heap::ROW;
use crate::segment::layout::{Layout, Offset, assert_offsets};
use crate::segment::name::Name;
use crate::segment::{Kind, Place};
use crate::sync::RawLock;
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::seeded::seeded;
use crate::sys::step::step;
use crate::tenancy::Tenant;
use crate::tenancy::{ANNEX_BEGUN, FIRST_ANNEX, OBJECT_LOCK, OBJECT_SORT, manager_lock};
use crate::{Error, ErrorKind, Result};

/// One object.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct ObjectRow {
    /// What it leads to.
    cell: AtomicU64,
    /// For whoever changes more than its cell; the sweep knows it by its place.
    lock: RawLock,
    /// A [`Sort`], written last; 0 as long as there is no object, or [`ANNEX_BEGUN`].
    sort: AtomicU32,
    name_len: AtomicU32,
    fingerprint: AtomicU64,
    /// Zeros behind its end.
    name: [AtomicU64; 8],
}

const _: () = assert!(size_of::<ObjectRow>() == 128 && size_of::<ObjectRow>() as u64 == ROW);
const _: () = assert!(std::mem::offset_of!(ObjectRow, lock) as u64 == OBJECT_LOCK);
const _: () = assert!(std::mem::offset_of!(ObjectRow, sort) as u64 == OBJECT_SORT);
assert_offsets!(ObjectRow {
    cell: 0,
    lock: 8,
    sort: 48,
    name_len: 52,
    fingerprint: 56,
    name: 64,
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for ObjectRow {}

/// The longest name, in bytes.
const NAME: usize = 64;

/// What a row stands for; its number is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Sort {
    /// One value.
    Cell = 1,
    /// A dictionary.
    Dict = 2,
    /// A list.
    List = 3,
    /// A queue with two ends.
    Deque = 4,
    /// Values of different types under names.
    Namespace = 5,
    /// So many numbers.
    Array = 6,
    /// A number on a line of its own.
    Counter = 7,
    /// Where an object is served.
    Served = 8,
    /// From here on annexes: their segments lie beside the manager's.
    Queue = FIRST_ANNEX,
    Lock = 10,
    ReentrantLock = 11,
    RwLock = 12,
    Condition = 13,
    Event = 14,
    Latch = 15,
    Barrier = 16,
    Semaphore = 17,
    BoundedSemaphore = 18,
    Value = 19,
    Once = 20,
    Shared = 21,
}

/// What an object shall be, or must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) sort: Sort,
    pub(super) fingerprint: u64,
}

type Words = [u64; NAME / 8];

impl Core {
    /// The row of the object called `name`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongType`, `InvalidInput` for a name that cannot be one.
    pub(super) fn find(&self, name: &str, form: Form) -> Result<u32> {
        let found = self.search(&words(name)?)?;
        let index = found.ok_or_else(|| {
            let text = format!("the manager has no object called `{name}`");
            Error::new(ErrorKind::NotFound, text)
        })?;
        self.check(index, form)?;
        Ok(index)
    }

    /// The row of the object called `name`; made if there is none, for which `init` fills in the row at the place it is
    /// given.
    ///
    /// # Errors
    ///
    /// `WrongType`, `InvalidInput` as above, `NoSpace`; what `init` says.
    pub(super) fn find_or_make(
        &self,
        name: &str,
        form: Form,
        init: impl FnOnce(u64) -> Result<()>,
    ) -> Result<u32> {
        let words = words(name)?;
        if let Some(index) = self.search(&words)? {
            self.check(index, form)?;
            return Ok(index);
        }
        let lock = self.lock(0);
        // Marked or not: whoever died in here has made an object, or nothing.
        let taken = lock.recover(self.me()?, &*self.tenant, Deadline::NEVER);
        taken.map_err(|refused| {
            let text = format!("the directory of a manager cannot be locked: {refused:?}");
            Error::new(ErrorKind::Os, text)
        })?;
        let _unlock = Unlock(lock);
        self.make(&words, name.len(), form, init)
    }

    /// With the lock: the row of that name, or a new one.
    fn make(
        &self,
        words: &Words,
        len: usize,
        form: Form,
        init: impl FnOnce(u64) -> Result<()>,
    ) -> Result<u32> {
        if let Some(index) = self.search(words)? {
            self.check(index, form)?;
            return Ok(index);
        }
        let mut index = 0;
        while self.is_made(index)? {
            index += 1;
        }
        let place = self.heap.room().object_row(index)?;
        let row = self.row(place);
        self.clear_away(index, row)?;
        init(place)?;
        step("manager.object.name");
        for (word, &part) in row.name.iter().zip(words) {
            word.store(part, Relaxed); // no step: one for all of them. Published by the sort
        }
        step("manager.object.form");
        row.name_len.store(len as u32, Relaxed); // as above
        row.fingerprint.store(form.fingerprint, Relaxed); // no step: as above
        step("manager.object.sort");
        // Release: pairs with `sort`; the row is complete.
        row.sort.store(form.sort as u32, Release);
        Ok(index)
    }

    /// Removes the annex that somebody has begun in the row who did not come to its end.
    fn clear_away(&self, index: u32, row: &ObjectRow) -> Result<()> {
        if row.sort.load(Relaxed) != ANNEX_BEGUN {
            return Ok(()); // Relaxed: the lock's, as long as there is no object
        }
        match Tenant::remove(&Name::parse(&self.tenant.annex(index)?)?) {
            Err(stays) if stays.kind() != ErrorKind::NotFound => return Err(stays),
            _ => {}
        }
        step("manager.annex.cleared");
        row.sort.store(0, Relaxed); // as above
        Ok(())
    }

    /// Notes in a new row that it gets an annex, whose number is returned, before there is one.
    pub(super) fn begin_annex(&self, place: u64) -> Result<u32> {
        let first = self.heap.room().object_row(0)?;
        if !seeded("annex-begins-unnoted") {
            step("manager.annex.begun");
            // Release: pairs with the look at the manager's end, for which the row must say so as soon as there is a file.
            self.row(place).sort.store(ANNEX_BEGUN, Release);
        }
        Ok(((place - first) / ROW) as u32)
    }

    fn is_made(&self, index: u32) -> Result<bool> {
        if index >= self.heap.room().object_rows() {
            return Ok(false);
        }
        let place = self.heap.room().object_row(index)?;
        Ok(self.row(place).sort() != 0)
    }

    fn search(&self, words: &Words) -> Result<Option<u32>> {
        for index in 0..self.heap.room().object_rows() {
            let place = self.heap.room().object_row(index)?;
            let row = self.row(place);
            if row.sort() != 0 && row.is(words) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Refuses an object of another sort or type.
    ///
    /// # Errors
    ///
    /// `WrongType`.
    pub(super) fn check(&self, index: u32, form: Form) -> Result<()> {
        let known = index < self.heap.room().object_rows();
        let row = self.row(self.heap.room().object_row(if known { index } else { 0 })?);
        let same = known
            && row.sort() == form.sort as u32
            && row.fingerprint.load(Relaxed) == form.fingerprint; // ordered by the sort
        if same {
            return Ok(());
        }
        let text = format!(
            "the object in the manager is not a {:?} of this type",
            form.sort
        );
        Err(Error::new(ErrorKind::WrongType, text))
    }

    fn row(&self, place: u64) -> &ObjectRow {
        self.tenant.segment().at(Offset::new(place))
    }

    /// One of the manager's locks.
    pub(super) fn lock(&self, index: u64) -> &RawLock {
        let segment = self.tenant.segment();
        segment.at(Offset::new(manager_lock(segment, index)))
    }

    /// The lock of the object in that row.
    pub(super) fn lock_of(&self, index: u32) -> Result<Place<RawLock>> {
        let row = self.heap.room().object_row(index)?;
        Ok(Place::new(self.tenant.segment(), row + OBJECT_LOCK))
    }

    /// The rows of all objects of a sort.
    pub(super) fn rows_of(&self, sort: Sort) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for index in 0..self.heap.room().object_rows() {
            let place = self.heap.room().object_row(index)?;
            if self.row(place).sort() == sort as u32 {
                found.push(index);
            }
        }
        Ok(found)
    }

    /// The names of all objects.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let rows = 0..self.heap.room().object_rows();
        let places = rows.map(|index| self.heap.room().object_row(index));
        let made = |place: &Result<u64>| place.as_ref().is_ok_and(|&at| self.row(at).sort() != 0);
        let names = places.filter(made);
        names.map(|place| Ok(self.row(place?).name())).collect()
    }
}

/// Gives a lock back, also when a value's own code panics.
#[must_use]
pub(super) struct Unlock<'a>(pub(super) &'a RawLock);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl ObjectRow {
    fn sort(&self) -> u32 {
        match self.sort.load(Acquire) {
            ANNEX_BEGUN => 0,
            sort => sort, // Acquire: pairs with `make`
        }
    }

    fn is(&self, words: &Words) -> bool {
        let mut both = self.name.iter().zip(words);
        both.all(|(word, &wanted)| word.load(Relaxed) == wanted) // ordered by the sort
    }

    fn name(&self) -> String {
        let words = self.name.iter().map(|word| word.load(Relaxed)); // ordered by the sort
        let mut bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        bytes.truncate(self.name_len.load(Relaxed) as usize); // likewise
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The name as words, if it can be one.
fn words(name: &str) -> Result<Words> {
    if name.is_empty() || name.len() > NAME || name.contains('\0') {
        let text = format!("`{name}` is no name: it has 1 to {NAME} bytes, none of them zero");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let mut words = Words::default();
    for (word, chunk) in words.iter_mut().zip(name.as_bytes().chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(padded);
    }
    Ok(words)
}

/// The kind of segment that a manager is.
pub(super) const KIND: Kind = Kind::Manager;
