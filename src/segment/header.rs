//! The first page of every segment: what it is, who made it, and where its parts lie.

use super::kind::Kind;
use super::layout::{LINE, Layout, PAGE, align_up, assert_offsets, fingerprint};
use super::{Geometry, Spec};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::atomic::{
    AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::identity::{self, Process};
use crate::sys::step::step;

/// "MULTIPRC", the first eight bytes.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"MULTIPRC");

/// The first eight bytes while somebody else's memory is being made a segment.
#[cfg(feature = "compat")]
const BEGUN: u64 = u64::from_le_bytes(*b"multiprc");

/// Programs with another major number cannot share a segment; a higher minor one only adds.
pub(crate) const ABI: (u16, u16) = (1, 0);

/// The header and all parts end below this, which every address space has room for.
const LARGEST_SEGMENT: u64 = 1 << 46;

/// Roster slots per segment, of one line each; slot 0 is nobody's.
pub(crate) const ROSTER_SLOTS: u64 = 4096;
pub(crate) const ROSTER_LEN: u64 = ROSTER_SLOTS * LINE as u64;

/// Rows for those who watch objects of the segment, of one word each; see [`super::watchers`].
pub(crate) const WATCH_ROWS: u32 = 4096;
pub(crate) const WATCH_LEN: u64 = WATCH_ROWS as u64 * 8;

/// Where block storage begins: on a boundary that huge pages can use.
const BLOCKS_ALIGN: u64 = 2 << 20;

/// The kinds of state word that [`Header::state`] holds.
const LIVE: u32 = 1;
const TOMBSTONE: u32 = 2;

/// Classes of the block store that have words here; see [`super::blocks`].
pub(crate) const BLOCK_CLASSES: usize = 32;

/// The header page. Everything above `committed` is written once, before anybody else can see the segment.
#[repr(C, align(128))]
pub(crate) struct Header {
    magic: AtomicU64,
    abi_major: AtomicU16,
    abi_minor: AtomicU16,
    kind: AtomicU16,
    pad_0: AtomicU16,
    layout_hash: AtomicU64,
    id: AtomicU64,
    fingerprint: AtomicU64,
    mode: AtomicU32,
    pad_1: AtomicU32,
    body_offset: AtomicU64,
    body_len: AtomicU64,
    roster_offset: AtomicU64,
    roster_len: AtomicU64,
    reserve_offset: AtomicU64,
    reserve_len: AtomicU64,
    creator_pid: AtomicU32,
    pad_2: AtomicU32,
    creator_start: AtomicU64,
    pid_namespace: AtomicU64,
    boot_id: [AtomicU64; 2],
    params: [AtomicU64; 8],
    type_name: [AtomicU64; 8],
    pad_3: [AtomicU64; 15],
    /// The file has memory from its start up to here at least; only grows.
    committed: AtomicU64,
    state: AtomicU32,
    pad_4: [AtomicU32; 29],
    /// Descriptors of each block class that have memory; only grow.
    described: [AtomicU32; BLOCK_CLASSES],
    /// How many rows of watchers were ever used; only grows.
    watch_rows_used: AtomicU32,
    pad_5: AtomicU32,
    pad_6: [AtomicU64; 175],
    /// Words of the roster's own.
    roster_words: [AtomicU64; 256],
}

const _: () = assert!(size_of::<Header>() == PAGE as usize);
assert_offsets!(Header {
    magic: 0,
    abi_major: 8,
    abi_minor: 10,
    kind: 12,
    layout_hash: 16,
    id: 24,
    fingerprint: 32,
    mode: 40,
    body_offset: 48,
    body_len: 56,
    roster_offset: 64,
    roster_len: 72,
    reserve_offset: 80,
    reserve_len: 88,
    creator_pid: 96,
    creator_start: 104,
    pid_namespace: 112,
    boot_id: 120,
    params: 136,
    type_name: 200,
    committed: 384,
    state: 392,
    described: 512,
    watch_rows_used: 640,
    roster_words: 2048,
});

// SAFETY: repr(C), nothing but atomics.
unsafe impl Layout for Header {}

/// Changes whenever a field of the header moves or changes its meaning.
const LAYOUT_HASH: u64 = fingerprint(
    b"multiproc header 2: magic8 abi2+2 kind2 hash8 id8 type8 mode4 body8+8 roster8+8 reserve8+8 \
      pid4 start8 pidns8 boot16 params64 name64 | committed8 state4 described32x4 watch4 roster256x8 | rows4096x8",
);

macro_rules! set {
    ($word:expr, $value:expr) => {
        // no step: nobody sees the segment yet
        $word.store($value, Relaxed)
    };
}

impl Header {
    /// Writes the header of a new segment that nobody else can see yet.
    pub(super) fn fill(&self, spec: &Spec, parts: &Parts, id: u64) {
        let creator = Process::current();
        // Relaxed throughout: the segment becomes visible by linkat or by passing a descriptor, which order all this.
        set!(self.abi_major, ABI.0);
        set!(self.abi_minor, ABI.1);
        set!(self.kind, spec.kind.number());
        set!(self.layout_hash, LAYOUT_HASH);
        set!(self.id, id);
        set!(self.fingerprint, spec.fingerprint);
        set!(self.mode, spec.mode);
        set!(self.body_offset, parts.body.0);
        set!(self.body_len, parts.body.1);
        set!(self.roster_offset, parts.roster.0);
        set!(self.roster_len, parts.roster.1);
        set!(self.reserve_offset, parts.reserve.0);
        set!(self.reserve_len, parts.reserve.1);
        set!(self.creator_pid, creator.pid);
        set!(self.creator_start, creator.start_time);
        set!(self.pid_namespace, identity::pid_namespace());
        store_bytes(&self.boot_id, &identity::boot_id());
        store_bytes(&self.type_name, clip(&spec.type_name).as_bytes());
        for (word, value) in self.params.iter().zip(spec.params) {
            set!(word, value);
        }
        set!(self.committed, parts.first_len());
        set!(self.state, LIVE);
        step("header.magic"); // of interest in somebody else's memory only: elsewhere nobody sees the segment yet
        // Release: pairs with the Acquire in `read`, so that whoever sees the magic sees the rest.
        self.magic.store(MAGIC, Release);
    }

    /// Whether the segment was made, in somebody else's memory.
    #[cfg(feature = "compat")]
    pub(super) fn is_whole(&self) -> bool {
        // Acquire: pairs with the Release in `fill`.
        self.magic.load(Acquire) == MAGIC
    }

    /// Whether somebody began to make it.
    #[cfg(feature = "compat")]
    pub(super) fn is_begun(&self) -> bool {
        self.magic.load(Acquire) == BEGUN
    }

    /// Notes, before anything else is written, that all of it is ours from now on.
    #[cfg(feature = "compat")]
    pub(super) fn begin(&self) {
        step("header.begin");
        // Release: nothing to publish yet; whoever begins again has the file's lock from who wrote this.
        self.magic.store(BEGUN, Release);
    }

    /// Copies the geometry to private memory, where no other process can change it after it was checked.
    pub(super) fn read(&self, file_len: u64) -> Result<Geometry> {
        self.check_format()?;
        let parts = Parts {
            body: (self.body_offset.load(Relaxed), self.body_len.load(Relaxed)),
            roster: (
                self.roster_offset.load(Relaxed),
                self.roster_len.load(Relaxed),
            ),
            reserve: (
                self.reserve_offset.load(Relaxed),
                self.reserve_len.load(Relaxed),
            ),
        };
        parts.check(file_len)?;
        let number = self.kind.load(Relaxed);
        let kind = Kind::from_number(number).ok_or_else(|| {
            let text = format!("the object is of kind {number}, which this version does not know");
            Error::new(ErrorKind::WrongType, text)
        })?;
        Ok(Geometry {
            id: self.id.load(Relaxed),
            kind,
            fingerprint: self.fingerprint.load(Relaxed),
            type_name: String::from_utf8_lossy(&load_bytes(&self.type_name)).into_owned(),
            params: std::array::from_fn(|i| self.params[i].load(Relaxed)),
            mode: self.mode.load(Relaxed),
            pid_namespace: self.pid_namespace.load(Relaxed),
            creator: Process {
                pid: self.creator_pid.load(Relaxed),
                start_time: self.creator_start.load(Relaxed),
            },
            parts,
        })
    }

    fn check_format(&self) -> Result<()> {
        // Acquire: pairs with the Release in `fill`.
        if self.magic.load(Acquire) != MAGIC {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "the file is not an object of multiproc: it does not begin with its mark",
            ));
        }
        let (major, minor) = (self.abi_major.load(Relaxed), self.abi_minor.load(Relaxed));
        if major != ABI.0 || self.layout_hash.load(Relaxed) != LAYOUT_HASH {
            return Err(Error::new(
                ErrorKind::WrongVersion,
                format!(
                    "the object has format {major}.{minor}, this program speaks {}.{}; \
                     build both programs with the same version of multiproc",
                    ABI.0, ABI.1
                ),
            ));
        }
        let boot = load_words(&self.boot_id);
        if boot != identity::boot_id()[..] {
            return Err(Error::new(
                ErrorKind::Gone,
                "the object was left by an earlier boot of the machine; remove it",
            ));
        }
        Ok(())
    }

    /// Whether the segment takes new members.
    pub(crate) fn is_live(&self) -> bool {
        // Acquire: pairs with the Release in `bury`.
        self.state.load(Acquire) == LIVE
    }

    /// Ends the segment for new members; the last one out does it, holding every byte lock.
    pub(crate) fn bury(&self) {
        step("header.bury");
        self.state.store(TOMBSTONE, Release);
    }

    /// The length of the file's beginning that certainly has memory.
    pub(super) fn committed(&self) -> u64 {
        // Acquire: pairs with the Release in `commit`; the memory was allocated before.
        self.committed.load(Acquire)
    }

    /// Tells everybody that the file has memory up to `end`, after it has got it.
    pub(super) fn commit(&self, end: u64) {
        step("header.commit");
        self.committed.fetch_max(end, Release);
    }

    /// How many descriptors of a block class have memory.
    pub(super) fn described(&self, class: usize) -> &AtomicU32 {
        &self.described[class]
    }

    /// How many rows of watchers were ever used.
    pub(super) fn watch_rows_used(&self) -> &AtomicU32 {
        &self.watch_rows_used
    }

    /// 2 KiB of words for the roster: they exist from the start, while the roster itself grows.
    pub(crate) fn roster_words(&self) -> &[AtomicU64; 256] {
        &self.roster_words
    }
}

/// Offset and length of each part of a segment; all multiples of the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) body: (u64, u64),
    pub(super) roster: (u64, u64),
    pub(super) reserve: (u64, u64),
}

impl Parts {
    /// Lays the parts out one behind the other.
    pub(super) fn plan(spec: &Spec) -> Result<Self> {
        let body_len = align_up(spec.body_len.max(1), PAGE);
        let reserve_len = align_up(spec.reserve_len, PAGE);
        let too_large = body_len.max(reserve_len) >= LARGEST_SEGMENT / 2;
        let roster = PAGE.saturating_add(body_len);
        let reserve = roster.saturating_add(ROSTER_LEN + WATCH_LEN);
        if too_large {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the object needs {body_len} and up to {reserve_len} bytes, more than a segment can have ({} TiB)",
                    (LARGEST_SEGMENT / 2) >> 40
                ),
            ));
        }
        Ok(Parts {
            body: (PAGE, body_len),
            roster: (roster, ROSTER_LEN),
            reserve: (reserve, reserve_len),
        })
    }

    /// What the file of a new segment has: header, body, and the first page of the roster.
    pub(super) fn first_len(&self) -> u64 {
        self.roster.0 + PAGE
    }

    /// What is mapped from the start: everything but the blocks.
    pub(super) fn mapped_len(&self) -> u64 {
        self.reserve.0 + self.reserve.1
    }

    /// Where the block store begins.
    pub(super) fn blocks_offset(&self) -> u64 {
        align_up(self.mapped_len(), BLOCKS_ALIGN)
    }

    /// Accepts only what `plan` can have made, in a file that is long enough for it.
    fn check(&self, file_len: u64) -> Result<()> {
        let (body, reserve) = (self.body.1, self.reserve.1);
        let in_bounds = body.max(reserve) < LARGEST_SEGMENT / 2;
        let consistent = in_bounds
            && body > 0
            && body % PAGE == 0
            && reserve % PAGE == 0
            && *self
                == Parts {
                    body: (PAGE, body),
                    roster: (PAGE + body, ROSTER_LEN),
                    reserve: (PAGE + body + ROSTER_LEN + WATCH_LEN, reserve),
                };
        if !consistent {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "the object's header contradicts itself; remove the object",
            ));
        }
        if file_len < self.first_len() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "the object's file has {file_len} bytes, its header speaks of {}; remove the object",
                    self.first_len()
                ),
            ));
        }
        Ok(())
    }
}

/// The longest beginning of a name that fits the header.
fn clip(name: &str) -> &str {
    let end = (0..=64.min(name.len()))
        .rev()
        .find(|&end| name.is_char_boundary(end));
    &name[..end.unwrap_or(0)]
}

fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        set!(word, u64::from_ne_bytes(padded));
    }
}

fn load_words(words: &[AtomicU64]) -> Vec<u8> {
    let bytes = |word: &AtomicU64| word.load(Relaxed).to_ne_bytes();
    words.iter().flat_map(bytes).collect()
}

/// The bytes before the first zero.
fn load_bytes(words: &[AtomicU64]) -> Vec<u8> {
    let mut bytes = load_words(words);
    bytes.truncate(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_passes_its_own_check() {
        let spec = Spec {
            body_len: 5000,
            reserve_len: 1,
            ..Spec::new(Kind::Test)
        };
        let parts = Parts::plan(&spec).unwrap();
        assert_eq!(parts.body, (4096, 8192));
        assert_eq!(parts.roster.0, 12288);
        assert_eq!(parts.reserve, (12288 + ROSTER_LEN + WATCH_LEN, 4096));
        parts.check(parts.first_len()).unwrap();
        let short = parts.check(parts.first_len() - 1).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn impossible_sizes_are_refused_on_both_sides() {
        let spec = Spec {
            body_len: u64::MAX,
            ..Spec::new(Kind::Test)
        };
        let error = Parts::plan(&spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let mut parts = Parts::plan(&Spec::new(Kind::Test)).unwrap();
        parts.reserve.1 = u64::MAX - 4095;
        assert_eq!(
            parts.check(u64::MAX).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = "é".repeat(40);
        assert_eq!(clip(&name).len(), 64);
        let name = format!("x{name}");
        assert_eq!(clip(&name).len(), 63);
    }
}
