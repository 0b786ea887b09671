//! Objects in somebody else's memory: an arena with a table of keys at the end of its body.
//!
//! The table is read and changed by who holds the *register* (see [`locks`](super::locks)), which the kernel takes from
//! the dead. A row is one word beside a key; the word is written last and leads to a block of the arena, or, when that
//! block has been freed since, to nothing.
//!
//! | dies after | state left | who repairs |
//! |---|---|---|
//! | memory marked as begun | the mark, with or without more | the next to adopt it |
//! | object made | a block without a key | the next to run out of room |
//! | key written | a row without a word | the next to need a row |
//! | word written | the object, held by nobody | whoever opens it has it; whoever creates one of that key replaces it |

use crate::error::{Error, ErrorKind, Result};
use crate::segment::arena::{Arena, Block};
use crate::segment::header::{ROSTER_LEN, WATCH_LEN};
use crate::segment::layout::{Layout, Offset, PAGE, align_up, assert_offsets};
use crate::segment::{Kind, MODE_ADOPTED, Segment, Spec};
use crate::sys::atfork::ForkMutex;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::fd;
use crate::sys::step::step;
use crate::tenancy::field::Blueprint;
use crate::tenancy::locks::Held;
use crate::tenancy::object::{repair_of, yard_spec};
use crate::tenancy::roster::cannot_lock;
use crate::tenancy::small::Small;
use crate::tenancy::{Object, Repair, SharedField, Tenant};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How many keys there can be.
const ROWS: u64 = 256;

/// The longest key, in bytes.
const KEY: usize = 56;

/// How long to wait for another process that is at the table, or has been stopped there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key and where its object is.
#[derive(Debug)]
#[repr(C)]
struct Row {
    /// `{unit:32 | generation:16 | pad:15 | used:1}`, or 0.
    word: AtomicU64,
    /// Zeros behind its end.
    key: [AtomicU64; 7],
}

const _: () = assert!(size_of::<Row>() == 64);
const _: () = assert!(size_of::<Row>() - 8 == KEY);
assert_offsets!(Row { word: 0, key: 8 });

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Row {}

/// A key as it lies in a row.
type Words = [u64; 7];

impl Row {
    fn block(&self) -> Option<Block> {
        let word = self.word.load(Acquire); // pairs with `lead_to`
        (word & 1 != 0).then_some(Block {
            unit: (word >> 32) as u32,
            generation: (word >> 16) as u16,
        })
    }

    fn is(&self, key: &Words) -> bool {
        let mut both = self.key.iter().zip(key);
        both.all(|(word, &wanted)| word.load(Relaxed) == wanted) // ordered by the row's word
    }

    /// Takes the row for `key`.
    fn lead_to(&self, key: &Words, block: Block) {
        self.clear();
        for (word, &part) in self.key.iter().zip(key) {
            step("keyed.key");
            word.store(part, Relaxed);
        }
        let word = u64::from(block.unit) << 32 | u64::from(block.generation) << 16 | 1;
        step("keyed.word");
        // Release: pairs with `block`; the key and the object are complete.
        self.word.store(word, Release);
    }

    fn clear(&self) {
        step("keyed.clear");
        // Release: the next key of this row comes after this.
        self.word.store(0, Release);
    }
}

/// The key as words, if it can be one.
fn words(key: &str) -> Result<Words> {
    if key.is_empty() || key.len() > KEY || key.contains('\0') {
        let text = format!("`{key}` is no key: it has 1 to {KEY} bytes, none of them zero");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let mut words = [0; 7];
    for (word, chunk) in words.iter_mut().zip(key.as_bytes().chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(padded);
    }
    Ok(words)
}

/// Makes somebody else's memory the segment of `spec` if it is blank, and moves in.
///
/// # Errors
///
/// Those of [`Segment::adopt`], and `Timeout` if a stopped process is at it.
pub(crate) fn adopt(file: OwnedFd, spec: &Spec, repair: Arc<dyn Repair>) -> Result<Arc<Tenant>> {
    let spec = Spec {
        mode: spec.mode | MODE_ADOPTED,
        ..spec.clone()
    };
    // A second descriptor of the same description: the lock outlives the one that the segment takes.
    let copy = file
        .try_clone()
        .map_err(|cause| Error::os("cannot adopt shared memory", cause))?;
    let segment = {
        let _register = register(copy.as_fd())?;
        Segment::adopt(file, &spec)?
    };
    Tenant::inhabit(segment, repair)
}

fn register(fd: BorrowedFd<'_>) -> Result<Held<'_>> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        if let Some(register) = Held::register(fd).map_err(cannot_lock)? {
            return Ok(register);
        }
        if deadline.expired() {
            let text = "the adopted memory is in the hands of a process that does not go on";
            return Err(Error::new(ErrorKind::Timeout, text));
        }
        std::thread::yield_now();
    }
}

/// Threads of one process share its locks: one at a time is at a table.
static DESK: ForkMutex<()> = ForkMutex::new((), || ());

/// Objects with keys in somebody else's memory.
#[derive(Debug)]
pub(crate) struct Keyed {
    tenant: Arc<Tenant>,
}

/// What lies in the arena: structs, with a table of what is to be repaired.
const SORT: Kind = Kind::Shared;

impl Keyed {
    /// The least memory in which anything has room.
    pub(crate) const LEAST: u64 = 640 << 10;

    /// Takes over `file`, all of which must be zero or ours already.
    ///
    /// # Errors
    ///
    /// See [`adopt`].
    pub(crate) fn adopt(file: OwnedFd) -> Result<Self> {
        let len = fd::metadata(file.as_fd())?.len();
        let tenant = adopt(file, &spec(len), repair_of(SORT))?;
        Ok(Keyed { tenant })
    }

    /// A new `F` under `key`; what only the dead have held under that key is replaced.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `NoSpace` for objects or keys; `InvalidInput` for a key that cannot be one, or an `F` of more
    /// than 16 KiB.
    pub(crate) fn create<F: SharedField>(&self, key: &str, init: &F::Init) -> Result<F> {
        let key = words(key)?;
        self.alone(|| match self.row_of(&key) {
            Some((_, block)) if !Object::is_abandoned(&self.tenant, SORT, block) => {
                let text = "an object of that key exists already";
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            _ => self.make(&key, init),
        })
    }

    /// The object under `key`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `WrongType`, `InvalidInput`.
    pub(crate) fn open<F: SharedField>(&self, key: &str) -> Result<F> {
        let key = words(key)?;
        self.alone(|| self.find(&key)?.ok_or_else(absent))
    }

    /// The object under `key`, made if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Keyed::open) and [`create`](Keyed::create).
    pub(crate) fn open_or_create<F: SharedField>(&self, key: &str, init: &F::Init) -> Result<F> {
        let key = words(key)?;
        self.alone(|| match self.find(&key)? {
            Some(found) => Ok(found),
            None => self.make(&key, init),
        })
    }

    /// Takes the key away; who has the object keeps it.
    ///
    /// # Errors
    ///
    /// `NotFound`, `InvalidInput`.
    pub(crate) fn remove(&self, key: &str) -> Result<()> {
        let key = words(key)?;
        self.alone(|| {
            let (row, block) = self.row_of(&key).ok_or_else(absent)?;
            let exists = Object::attach_in(&self.tenant, SORT, block).is_ok();
            row.clear();
            if exists { Ok(()) } else { Err(absent()) }
        })
    }

    /// Runs `act` while nobody else is at the table, in any process.
    fn alone<R>(&self, act: impl FnOnce() -> Result<R>) -> Result<R> {
        self.tenant.seat()?; // before the lock: a forked child gets a description of its own by this
        let _desk = DESK.lock();
        let _register = register(self.tenant.segment().fd())?;
        act()
    }

    fn find<F: SharedField>(&self, key: &Words) -> Result<Option<F>> {
        let Some((_, block)) = self.row_of(key) else {
            return Ok(None);
        };
        let print = blueprint::<F>()?;
        let object = match Object::attach_in(&self.tenant, SORT, block) {
            Err(gone) if gone.kind() == ErrorKind::Gone => return Ok(None),
            attached => attached?,
        };
        let whole = Small::found(object, print.form())?;
        print.open(&whole).map(Some)
    }

    fn make<F: SharedField>(&self, key: &Words, init: &F::Init) -> Result<F> {
        let print = blueprint::<F>()?;
        let row = self.row_for(key).ok_or_else(|| {
            let text = format!("all {ROWS} keys of the adopted memory are in use");
            Error::new(ErrorKind::NoSpace, text)
        })?;
        let (object, block) = Object::create_in(&self.tenant, SORT, print.form().block_len())?;
        let make = |segment: &Segment, table| print.make::<F>(init, segment, table);
        let whole = Small::made(object, print.form(), make)?;
        let made = print.open(&whole)?;
        // Rows that led to earlier uses of the block: generations come round, and would lead to this one some day.
        let stale = |row: &&Row| row.block().is_some_and(|old| old.unit == block.unit);
        self.rows().iter().filter(stale).for_each(Row::clear);
        row.lead_to(key, block);
        Ok(made)
    }

    fn rows(&self) -> &[Row] {
        let segment = self.tenant.segment();
        let (body, len) = segment.body();
        let table = body + len.saturating_sub(ROWS * size_of::<Row>() as u64);
        segment.slice(Offset::new(table), ROWS).unwrap_or_default()
    }

    fn row_of(&self, key: &Words) -> Option<(&Row, Block)> {
        let mut used = self
            .rows()
            .iter()
            .filter_map(|row| Some((row, row.block()?)));
        used.find(|(row, _)| row.is(key))
    }

    /// The row of `key`, or one that leads nowhere, or to what only the dead have held.
    fn row_for(&self, key: &Words) -> Option<&Row> {
        if let Some((row, _)) = self.row_of(key) {
            return Some(row);
        }
        let abandoned = |block| Object::is_abandoned(&self.tenant, SORT, block);
        let unused = |row: &&Row| row.block().is_none();
        let mut rows = self.rows().iter();
        rows.find(unused).or_else(|| {
            let mut rows = self.rows().iter();
            rows.find(|row| row.block().is_none_or(abandoned))
        })
    }
}

fn blueprint<F: SharedField>() -> Result<Blueprint> {
    Blueprint::of::<F>(std::any::type_name::<F>())
}

#[cold]
fn absent() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "the adopted memory has no object of that key",
    )
}

/// What a file of `len` bytes becomes: as many chunks for objects as it has room for.
fn spec(len: u64) -> Spec {
    let fits = |chunks: &u64| len_of(*chunks) <= len;
    let most = (len / CHUNK).clamp(1, MOST_CHUNKS);
    let chunks = (1..=most).rev().find(fits).unwrap_or(1);
    let (body_len, reserve_len) = lengths(chunks);
    Spec {
        body_len,
        reserve_len,
        ..yard_spec(SORT)
    }
}

/// Objects in one chunk of an arena, in bytes, and in the largest arena.
const CHUNK: u64 = 8 * PAGE;
const MOST_CHUNKS: u64 = 1024;

/// Body and reserve of an arena of so many chunks, with the table.
fn lengths(chunks: u64) -> (u64, u64) {
    let (body, reserve) = Arena::lengths(chunks * CHUNK);
    let rows = ROWS * size_of::<Row>() as u64;
    (align_up(body, 64) + rows, reserve)
}

fn len_of(chunks: u64) -> u64 {
    let (body, reserve) = lengths(chunks);
    PAGE + align_up(body, PAGE) + ROSTER_LEN + WATCH_LEN + reserve
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::arena::UNITS;

    #[test]
    fn whatever_the_length_all_of_it_is_used_and_nothing_beyond() {
        assert!(len_of(1) <= Keyed::LEAST);
        for len in [Keyed::LEAST, 1 << 20, 10_000_000, 1 << 30] {
            let spec = spec(len);
            let chunks = spec.reserve_len / (CHUNK + PAGE);
            assert!(chunks >= 1 && len_of(chunks) <= len);
            assert!(chunks == MOST_CHUNKS || len_of(chunks + 1) > len);
        }
        assert_eq!(MOST_CHUNKS * CHUNK, u64::from(UNITS) * 64);
    }

    #[test]
    fn keys_are_short_texts() {
        assert_ne!(words("a").unwrap(), words("aa").unwrap());
        assert!(words(&"k".repeat(KEY)).is_ok());
        for wrong in ["", "a\0", &"k".repeat(KEY + 1)] {
            assert_eq!(words(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
