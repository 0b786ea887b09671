//! The launch block: all that a child needs to start, and the place where it leaves its result.
//!
//! It is an anonymous, sealed file whose descriptor the child inherits. Parent and child read and write it by position,
//! so nothing of it is mapped and neither can be harmed through it. Layout, in the byte order of the machine, as
//! both sides run the same build:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic |
//! | 8 | 8 | nonce, also in the environment of the child |
//! | 16 | 8 | offset of the entry's trampoline in the image |
//! | 24 | 40 | build id of the image |
//! | 64 | 4 + 4 | the parent's pid; descriptor of the leash, or -1 |
//! | 72 | 4 + 4 | flags (1: daemon); descriptor that says by its end that the child has attached, or -1 |
//! | 80 | 4 + 4 + 4 + 4 | length of the name, the lineage, the parent's name; number of inherited objects |
//! | 96 | 8 | length of the arguments |
//! | 104 | 8 | progress of the child: 0, started, attached |
//! | 112 | 8 | **outcome**: what and how many bytes, 0 while there is none; the commit word of the result |
//! | 120 | 8 | the most bytes of memory that the child may have for itself, or 0 |
//! | 128 | | inherited objects (16 bytes each), name, lineage, parent's name, arguments, result |

use std::fs::File;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use super::report::Report;
use crate::message::Packed;
use crate::sys::image::BuildId;
use crate::sys::shm;
use crate::sys::step::step;
use crate::{Error, ErrorKind, Result};

const MAGIC: u64 = u64::from_ne_bytes(*b"mpLAUNCH");
const HEAD: usize = 128;
const ARGS_LEN_AT: usize = 96;
const PROGRESS_AT: u64 = 104;
const OUTCOME_AT: u64 = 112;
const MEMORY_AT: usize = 120;
const DAEMON: u32 = 1;

/// What the parent tells the child.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) nonce: u64,
    pub(super) entry: u64,
    pub(super) build: BuildId,
    pub(super) parent_pid: i32,
    pub(super) parent_name: String,
    pub(super) leash: Option<RawFd>,
    /// The writing end of a pipe that the child closes when it has attached: then its parent waits for that.
    pub(super) awaited: Option<RawFd>,
    pub(super) daemon: bool,
    /// The most bytes of memory that it may have for itself.
    pub(super) memory: Option<NonZeroU64>,
    pub(super) name: String,
    /// The child's place in the family, as `1:2`.
    pub(super) lineage: String,
    /// Shared objects whose descriptors the child inherits: segment and descriptor.
    pub(super) inherited: Vec<(u64, RawFd)>,
}

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Progress {
    /// It has recognised itself as a child.
    Started = 1,
    /// The arguments are the child's own now: nothing has to be kept alive for it any more.
    Attached = 2,
}

/// One launch block.
#[derive(Debug)]
pub(super) struct Launch {
    file: File,
    /// Where the result begins: the end of what the parent wrote.
    end: u64,
}

impl Launch {
    /// Writes a launch block.
    pub(super) fn create(order: &Order, args: &[u8]) -> Result<Self> {
        let fd = shm::anonymous("multiproc-launch")?;
        let file = File::from(above_stdio(fd)?);
        let mut bytes = order.encode(args.len());
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let args_at = bytes.len() as u64;
        step("launch.order");
        file.write_all_at(&bytes, 0)
            .and_then(|()| file.write_all_at(args, args_at))
            .map_err(unwritable)?;
        shm::seal_against_shrinking(file.as_fd())?;
        let end = args_at + args.len() as u64;
        Ok(Launch { file, end })
    }

    /// Recognises a launch block in an inherited descriptor; `None` if it is anything else.
    pub(super) fn recognise(fd: OwnedFd, nonce: u64) -> Option<(Self, Order, Packed)> {
        let file = File::from(fd);
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).ok()?;
        let field = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        if field(0) != MAGIC || field(8) != nonce {
            return None;
        }
        let end = file.metadata().ok()?.len();
        let args_len = usize::try_from(field(ARGS_LEN_AT)).ok()?;
        let args_at = end.checked_sub(args_len as u64)?;
        let mut bytes = vec![0; usize::try_from(args_at).ok()?];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let order = Order::decode(&bytes)?;
        let args = Packed::filled(args_len, |room| file.read_exact_at(room, args_at)).ok()?;
        Some((Launch { file, end }, order, args))
    }

    pub(super) fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// A second handle of the same block.
    pub(super) fn try_clone(&self) -> Option<Self> {
        let file = self.file.try_clone().ok()?;
        Some(Launch {
            file,
            end: self.end,
        })
    }

    /// Notes in the child how far it has come; a parent that never learns it keeps what it keeps for longer.
    pub(super) fn note(&self, progress: Progress) {
        step("launch.progress");
        let _ = self.put_word(PROGRESS_AT, progress as u64);
    }

    /// Whether the child has come so far.
    pub(super) fn has(&self, progress: Progress) -> bool {
        self.word(PROGRESS_AT)
            .is_ok_and(|word| word >= progress as u64)
    }

    /// Leaves the result: first its bytes, then the one word that makes them count.
    pub(super) fn commit(&self, report: &Report) -> std::io::Result<()> {
        let (tag, bytes) = report.encode();
        step("launch.result");
        self.file.write_all_at(&bytes, self.end)?;
        step("launch.commit");
        self.put_word(OUTCOME_AT, u64::from(tag) << 56 | bytes.len() as u64)
    }

    /// Whether the child has left a result.
    pub(super) fn is_committed(&self) -> bool {
        self.word(OUTCOME_AT).is_ok_and(|word| word != 0)
    }

    /// What the child left; `None` if it ended before it could.
    pub(super) fn outcome(&self) -> Result<Option<Report>> {
        let word = self.word(OUTCOME_AT).map_err(unreadable)?;
        if word == 0 {
            return Ok(None);
        }
        let (tag, len) = ((word >> 56) as u8, word & (u64::MAX >> 8));
        let available = self.file.metadata().map_err(unreadable)?.len();
        if len > available.saturating_sub(self.end) {
            return Err(garbled());
        }
        let bytes = Packed::filled(len as usize, |room| self.file.read_exact_at(room, self.end));
        let report = Report::decode(tag, bytes.map_err(unreadable)?);
        report.ok_or_else(garbled).map(Some)
    }

    fn word(&self, at: u64) -> std::io::Result<u64> {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, at)?;
        Ok(u64::from_ne_bytes(word))
    }

    fn put_word(&self, at: u64, word: u64) -> std::io::Result<()> {
        self.file.write_all_at(&word.to_ne_bytes(), at)
    }
}

impl Order {
    fn encode(&self, args_len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 256 + args_len);
        for word in [MAGIC, self.nonce, self.entry] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(self.build.bytes());
        let texts = [&self.name, &self.lineage, &self.parent_name];
        let halves = [
            self.parent_pid as u32,
            self.leash.unwrap_or(-1) as u32,
            if self.daemon { DAEMON } else { 0 },
            self.awaited.unwrap_or(-1) as u32,
            texts[0].len() as u32,
            texts[1].len() as u32,
            texts[2].len() as u32,
            self.inherited.len() as u32,
        ];
        bytes.extend(halves.iter().flat_map(|half| half.to_ne_bytes()));
        bytes.extend((args_len as u64).to_ne_bytes());
        bytes.resize(MEMORY_AT, 0);
        bytes.extend(self.memory.map_or(0, NonZeroU64::get).to_ne_bytes());
        for &(segment, fd) in &self.inherited {
            bytes.extend(segment.to_ne_bytes());
            bytes.extend(i64::from(fd).to_ne_bytes());
        }
        for text in texts {
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.get(16..)?);
        let entry = reader.long()?;
        let build = BuildId::from_bytes(reader.take(BuildId::LEN)?.try_into().ok()?);
        let (parent_pid, leash) = (reader.half()? as i32, reader.half()? as i32);
        let (flags, awaited) = (reader.half()?, reader.half()? as i32);
        let texts = [reader.half()?, reader.half()?, reader.half()?];
        let objects = reader.half()?;
        let mut reader = Reader(bytes.get(HEAD..)?);
        let inherited = (0..objects)
            .map(|_| Some((reader.long()?, reader.long()? as i64 as RawFd)))
            .collect::<Option<_>>()?;
        let mut text = |len: u32| String::from_utf8(reader.take(len as usize)?.to_vec()).ok();
        let (name, lineage) = (text(texts[0])?, text(texts[1])?);
        let parent_name = text(texts[2])?;
        Some(Order {
            nonce: u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?),
            entry,
            build,
            parent_pid,
            parent_name,
            leash: (leash >= 0).then_some(leash),
            awaited: (awaited >= 0).then_some(awaited),
            daemon: flags & DAEMON != 0,
            memory: NonZeroU64::new(Reader(bytes.get(MEMORY_AT..)?).long()?),
            name,
            lineage,
            inherited,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn half(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// Moves a descriptor away from the numbers of the standard streams, which the child sets otherwise.
pub(super) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // std's copies are never given the numbers of standard streams.
    fd.try_clone()
        .map_err(|cause| Error::os("cannot duplicate a descriptor", cause))
}

fn unwritable(cause: std::io::Error) -> Error {
    Error::os("cannot write the launch block of a process", cause)
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::os("cannot read the launch block of a process", cause)
}

fn garbled() -> Error {
    let text = "the result that a process left is not well-formed; something wrote over it";
    Error::new(ErrorKind::Corrupt, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            nonce: 0x0123_4567_89ab_cdef,
            entry: 4711,
            build: BuildId::from_bytes([3; BuildId::LEN]),
            parent_pid: 12,
            parent_name: "MainProcess".into(),
            leash: Some(5),
            awaited: Some(6),
            daemon: true,
            memory: NonZeroU64::new(1 << 40),
            name: "wörker".into(),
            lineage: "1:2".into(),
            inherited: vec![(u64::MAX, 7), (1, 8)],
        }
    }

    fn recognise(launch: &Launch, nonce: u64) -> Option<(Launch, Order, Packed)> {
        let copy = launch.file.try_clone().unwrap();
        Launch::recognise(copy.into(), nonce)
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let plain = Order {
            leash: None,
            awaited: None,
            daemon: false,
            memory: None,
            inherited: Vec::new(),
            ..order()
        };
        for order in [order(), plain] {
            let launch = Launch::create(&order, b"arguments").unwrap();
            let (_, got, args) = recognise(&launch, order.nonce).unwrap();
            assert_eq!(got, order);
            assert_eq!(args.bytes(), b"arguments");
            assert!(args.bytes().as_ptr().addr().is_multiple_of(16));
        }
    }

    #[test]
    fn only_the_right_nonce_opens_a_block() {
        let launch = Launch::create(&order(), &[]).unwrap();
        assert!(recognise(&launch, 1).is_none());
        let other = tempfile::tempfile().unwrap();
        assert!(Launch::recognise(other.into(), 0).is_none());
    }

    #[test]
    fn a_block_cut_short_is_none() {
        let bytes = order().encode(0);
        for len in HEAD..bytes.len() {
            assert!(Order::decode(&bytes[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn the_result_counts_once_it_is_committed() {
        let launch = Launch::create(&order(), b"args").unwrap();
        let (child, ..) = recognise(&launch, order().nonce).unwrap();
        assert!(launch.outcome().unwrap().is_none());
        assert!(!launch.has(Progress::Attached));
        assert!(!launch.has(Progress::Started));
        child.note(Progress::Started);
        assert!(launch.has(Progress::Started));
        assert!(!launch.has(Progress::Attached));
        child.note(Progress::Attached);
        assert!(launch.has(Progress::Attached));
        let report = Report::Returned(Packed::copy_of(&[7; 10_000]));
        child.commit(&report).unwrap();
        match launch.outcome().unwrap() {
            Some(Report::Returned(value)) => assert_eq!(value.bytes(), [7; 10_000]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_result_longer_than_its_block_is_refused() {
        let launch = Launch::create(&order(), &[]).unwrap();
        launch.put_word(OUTCOME_AT, 1 << 56 | 1 << 40).unwrap();
        assert_eq!(launch.outcome().unwrap_err().kind(), ErrorKind::Corrupt);
        launch.put_word(OUTCOME_AT, 9 << 56).unwrap();
        assert_eq!(launch.outcome().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
