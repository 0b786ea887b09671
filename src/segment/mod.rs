//! Floor 2: rooms in memory. The only place that turns bytes into references.
//!
//! A segment is a file: one page of [`header`], the object's body, a roster of its members and one of those who [watch](watchers)
//! it, which grow page by page, and reserves that get memory when they are needed.

pub(crate) mod arena;
pub(crate) mod blocks;
pub(crate) mod header;
pub(crate) mod kind;
pub(crate) mod layout;
pub(crate) mod name;
mod place;
mod table;
mod watchers;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::bell::Address;
use crate::sys::fd;
use crate::sys::identity::{self, Process};
use crate::sys::shm::{self, Mapping, TmpFile};
use header::{Header, Parts};
pub(crate) use kind::Kind;
use layout::{Layout, Offset, PAGE};
use name::{Directory, Name};
pub(crate) use place::{Place, Places};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
pub(crate) use table::{CPU_LINE, Pair, Rows, Strides, Table, Twins, copy, narrow, span};
#[cfg(test)]
pub(crate) use table::{peek, poke};
pub(crate) use watchers::{Row, Watched, Watchers};

/// [`Spec::mode`]: ask for huge pages.
pub(crate) const MODE_HUGE: u32 = 1;
/// [`Spec::mode`]: take all page faults of the body when the segment is mapped.
pub(crate) const MODE_PREFAULT: u32 = 2;

/// [`Spec::mode`]: the file is somebody else's, who named it and will remove it; it keeps its length.
pub(crate) const MODE_ADOPTED: u32 = 8;

/// `mode` with one of its bits set or not.
pub(crate) fn with_mode(mode: u32, bit: u32, yes: bool) -> u32 {
    match yes {
        true => mode | bit,
        false => mode & !bit,
    }
}

/// What a new segment shall be.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The object it carries.
    pub(crate) kind: Kind,
    /// The hash of the element type's archived layout, of the archive format, endianness and pointer width.
    pub(crate) fingerprint: u64,
    /// The element type for people; the first 64 bytes are kept.
    pub(crate) type_name: String,
    /// The bytes that the object has from the start.
    pub(crate) body_len: u64,
    /// Bytes that get memory only when `ensure_allocated` asks for them.
    pub(crate) reserve_len: u64,
    /// The object's own geometry.
    pub(crate) params: [u64; 8],
    /// `MODE_` bits.
    pub(crate) mode: u32,
}

impl Spec {
    /// An empty segment of a kind; the fields are public to be filled in.
    pub(crate) fn new(kind: Kind) -> Self {
        Spec {
            kind,
            fingerprint: 0,
            type_name: String::new(),
            body_len: 0,
            reserve_len: 0,
            params: [0; 8],
            mode: 0,
        }
    }
}

/// What an opened segment must be.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    /// The object it must carry.
    pub(crate) kind: Kind,
    /// The fingerprint it must have, unless any will do.
    pub(crate) fingerprint: Option<u64>,
    /// The element type for the error text.
    pub(crate) type_name: String,
}

impl Expect {
    /// An object of a kind, whatever its type.
    pub(crate) fn any(kind: Kind) -> Self {
        Expect {
            kind,
            fingerprint: None,
            type_name: "any type".to_owned(),
        }
    }
}

impl From<&Spec> for Expect {
    fn from(spec: &Spec) -> Self {
        Expect {
            kind: spec.kind,
            fingerprint: Some(spec.fingerprint),
            type_name: spec.type_name.clone(),
        }
    }
}

/// What a segment is: read from its header once, checked, and kept where no other process can change it.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) fingerprint: u64,
    pub(crate) type_name: String,
    pub(crate) params: [u64; 8],
    pub(crate) mode: u32,
    pub(crate) creator: Process,
    /// The pid namespace of the creator, in which thread ids in this segment count.
    pub(crate) pid_namespace: u64,
    parts: Parts,
}

impl Geometry {
    /// Refuses a segment of another kind or element type.
    pub(crate) fn check(&self, expect: &Expect) -> Result<()> {
        let wanted = expect.fingerprint.unwrap_or(self.fingerprint);
        if self.kind == expect.kind && self.fingerprint == wanted {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::WrongType,
            format!(
                "the object is a {} of {} (layout {:016x}), not a {} of {} (layout {:016x})",
                self.kind, self.type_name, self.fingerprint, expect.kind, expect.type_name, wanted
            ),
        ))
    }
}

/// A shared-memory file, mapped: the body of one object, or of many small ones.
///
/// References into it are bounded and aligned against private copies of its geometry, never against what it says now.
pub(crate) struct Segment {
    file: OwnedFd,
    map: Mapping,
    geometry: Geometry,
}

/// A new segment that nobody else can see; dropped, nothing of it is left.
#[derive(Debug)]
pub(crate) struct Draft {
    segment: Segment,
    unnamed: Option<TmpFile>,
}

impl Draft {
    /// A segment without a name: it lives as long as somebody has it open.
    pub(crate) fn anonymous(spec: &Spec) -> Result<Self> {
        let id = identity::random_u64();
        let file = shm::anonymous(&format!("multiproc-{id:016x}"))?;
        let segment = Segment::build(file, spec, id)?;
        // Sealed at full length: from here on nobody can pull the memory away under a user's feet.
        shm::seal_against_shrinking(segment.fd())?;
        Ok(Draft {
            segment,
            unnamed: None,
        })
    }

    /// A segment that [`publish`](Draft::publish) will name.
    pub(crate) fn named(dir: &Directory, spec: &Spec) -> Result<Self> {
        let unnamed = dir.create()?;
        let segment = Segment::build(unnamed.share()?, spec, identity::random_u64())?;
        Ok(Draft {
            segment,
            unnamed: Some(unnamed),
        })
    }

    /// The segment, to be initialised and joined before it is published.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Lets the object begin to exist, under `name` if it was made to be named.
    #[cfg(test)]
    pub(crate) fn publish(mut self, name: Option<&Name>) -> Result<Segment> {
        self.link(name)?;
        Ok(self.into_segment())
    }

    /// Lets the object begin to exist, under `name` if it was made to be named.
    pub(crate) fn link(&mut self, name: Option<&Name>) -> Result<()> {
        match (self.unnamed.take(), name) {
            (None, None) => Ok(()),
            (Some(file), Some(name)) => file.link_as(name.as_str()),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "an anonymous object cannot get a name, and a named one needs it",
            )),
        }
    }

    /// The segment, once it has been linked.
    pub(crate) fn into_segment(self) -> Segment {
        self.segment
    }
}

impl Segment {
    fn build(file: OwnedFd, spec: &Spec, id: u64) -> Result<Self> {
        let parts = Parts::plan(spec)?;
        shm::allocate(file.as_fd(), 0, parts.first_len())?;
        let map = Mapping::new(file.as_fd(), 0, parts.mapped_len() as usize)?;
        let geometry = {
            let header = header_of(&map);
            header.fill(spec, &parts, id);
            header.read(parts.first_len())?
        };
        Ok(Segment::mapped(file, map, geometry))
    }

    /// Maps a segment that somebody else made, if it is whole and what is expected.
    ///
    /// `file` must be a description of our own ([`fd::reopen`]): byte locks are taken on it.
    pub(crate) fn open(file: OwnedFd, expect: Option<&Expect>) -> Result<Self> {
        let len = fd::metadata(file.as_fd())?.len();
        if len < PAGE {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the file has {len} bytes, less than a header"),
            ));
        }
        let first_page = Mapping::new(file.as_fd(), 0, PAGE as usize)?;
        let geometry = header_of(&first_page).read(len)?;
        if let Some(expect) = expect {
            geometry.check(expect)?;
        }
        let mapped_len = geometry.parts.mapped_len();
        if geometry.mode & MODE_ADOPTED != 0 && len < mapped_len {
            let text = format!("the memory was cut to {len} bytes, and {mapped_len} are in use");
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        let map = Mapping::new(file.as_fd(), 0, mapped_len as usize)?;
        Ok(Segment::mapped(file, map, geometry))
    }

    /// Makes the beginning of somebody else's file the segment of `spec`, or opens it if it is that already.
    ///
    /// The file is given memory for all of it at once, and keeps its length for ever. The caller keeps everybody else
    /// from doing this meanwhile; what a crash left half done is begun again.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the file is too short, `NoSpace` if there is no memory for it, `Corrupt` if something else is
    /// in it, and those of [`open`](Segment::open).
    #[cfg(feature = "compat")]
    pub(crate) fn adopt(file: OwnedFd, spec: &Spec) -> Result<Self> {
        let len = fd::metadata(file.as_fd())?.len();
        let parts = Parts::plan(spec)?;
        if len >= PAGE && is_made(&file)? {
            return Segment::open(file, Some(&Expect::from(spec)));
        }
        let needed = parts.mapped_len();
        if len < needed {
            let text = format!("the memory has {len} bytes, and {needed} are needed");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        shm::allocate(file.as_fd(), 0, needed)?;
        let map = Mapping::new(file.as_fd(), 0, needed as usize)?;
        let header = header_of(&map);
        if !header.is_begun() {
            check_blank(&map, needed)?;
            header.begin();
        }
        header.fill(spec, &parts, identity::random_u64());
        drop(map);
        Segment::open(file, Some(&Expect::from(spec)))
    }

    fn mapped(file: OwnedFd, map: Mapping, geometry: Geometry) -> Self {
        if geometry.mode & MODE_HUGE != 0 {
            map.prefer_huge_pages();
        }
        if geometry.mode & MODE_PREFAULT != 0 {
            map.populate(0..geometry.parts.first_len() as usize);
        }
        Segment {
            file,
            map,
            geometry,
        }
    }

    /// The random number by which handles find the segment.
    pub(crate) fn id(&self) -> u64 {
        self.geometry.id
    }

    /// The descriptor; its open file description is this process's own.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The private copy of what the header said when the segment was mapped.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The object's own geometry, private as well.
    pub(crate) fn params(&self) -> &[u64; 8] {
        &self.geometry.params
    }

    /// Offset and length of the body, which has memory from the start.
    pub(crate) fn body(&self) -> (u64, u64) {
        self.geometry.parts.body
    }

    /// Offset and length of the roster, of which only the first page has memory from the start.
    pub(crate) fn roster(&self) -> (u64, u64) {
        self.geometry.parts.roster
    }

    /// Offset and length of the reserve, which has no memory before [`ensure_allocated`](Segment::ensure_allocated).
    pub(crate) fn reserve(&self) -> (u64, u64) {
        self.geometry.parts.reserve
    }

    /// Where the block store begins in the file; it is not part of this mapping.
    pub(crate) fn blocks_offset(&self) -> u64 {
        self.geometry.parts.blocks_offset()
    }

    /// Whether the file is somebody else's: it is not to grow, nor to be removed.
    pub(crate) fn is_adopted(&self) -> bool {
        self.geometry.mode & MODE_ADOPTED != 0
    }

    /// Gives memory to what lies behind the mapping, making the file longer.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none left, or the file is somebody else's.
    pub(crate) fn allocate_behind(&self, offset: u64, len: u64) -> Result<()> {
        if self.is_adopted() {
            return Err(Error::new(
                ErrorKind::NoSpace,
                "memory of somebody else's does not grow; make the slots larger",
            ));
        }
        shm::allocate(self.fd(), offset, len)
    }

    /// The header page.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        header_of(&self.map)
    }

    /// The `T` at `place`, which must lie in memory that was allocated.
    ///
    /// # Panics
    ///
    /// If it does not lie in the mapping, or not aligned: such an offset comes from a bug, or from shared memory
    /// without having been checked.
    #[inline]
    pub(crate) fn at<T: Layout>(&self, place: Offset<T>) -> &T {
        match self.get(place) {
            Some(found) => found,
            None => outside(place.get()),
        }
    }

    /// The `T` at `place`, unless that is outside the mapping or unaligned: for offsets read from shared memory.
    #[inline]
    pub(crate) fn get<T: Layout>(&self, place: Offset<T>) -> Option<&T> {
        self.slice(place, 1).map(|one| &one[0])
    }

    /// `count` times `T` from `place`, unless they are not all in the mapping or unaligned.
    #[inline]
    pub(crate) fn slice<T: Layout>(&self, place: Offset<T>, count: u64) -> Option<&[T]> {
        refer(&self.map, place.get(), count)
    }

    /// `len` bytes from `offset`, unless they are not all in the mapping.
    ///
    /// A pointer and not a slice: what may be read or written there when is the protocol's to say.
    #[inline]
    pub(crate) fn bytes(&self, offset: u64, len: u64) -> Option<NonNull<[u8]>> {
        let end = offset.checked_add(len)?;
        self.map.bytes(offset as usize..end as usize)
    }

    /// Where in the segment that is which has this address in this mapping.
    pub(super) fn offset_of(&self, found: Address) -> u64 {
        let start = self.map.start().addr().get();
        found.get().wrapping_sub(start) as u64
    }

    /// Makes sure that `len` bytes from `offset` have memory.
    ///
    /// # Errors
    ///
    /// `NoSpace` if there is none left, in place of the SIGBUS that touching them would be.
    pub(crate) fn ensure_allocated(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        let committed = self.header().committed();
        if end <= committed {
            return Ok(());
        }
        shm::allocate(self.fd(), offset, len)?;
        if offset <= committed {
            self.header().commit(end);
        }
        Ok(())
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Segment({} {:016x})",
            self.geometry.kind, self.geometry.id
        )
    }
}

#[inline]
fn header_of(map: &Mapping) -> &Header {
    debug_assert!(map.len() >= size_of::<Header>());
    // SAFETY: every mapping made here starts at a page boundary of the file and has at least the header's length, which
    // every segment file has; a Header is a Layout, and it lives as long as the mapping.
    unsafe { map.start().cast().as_ref() }
}

/// Whether there is a segment in somebody else's memory already.
#[cfg(feature = "compat")]
fn is_made(file: &OwnedFd) -> Result<bool> {
    shm::allocate(file.as_fd(), 0, PAGE)?;
    let first_page = Mapping::new(file.as_fd(), 0, PAGE as usize)?;
    Ok(header_of(&first_page).is_whole())
}

/// Refuses memory in which there is anything: it is in use for something else.
#[cfg(feature = "compat")]
fn check_blank(map: &Mapping, len: u64) -> Result<()> {
    use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
    let words = refer::<AtomicU64>(map, 0, len / 8).unwrap_or_default();
    // Relaxed: the caller keeps other users of this library out; others are to be noticed, not to be waited for.
    if words.iter().all(|word| word.load(Relaxed) == 0) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        "the memory holds something that is no object of multiproc; only memory that is all zero can be taken over",
    ))
}

/// `count` times `T` at `offset` of a mapping: the one place where bytes of shared memory become references.
#[inline]
fn refer<T: Layout>(map: &Mapping, offset: u64, count: u64) -> Option<&[T]> {
    let len = (size_of::<T>() as u64).checked_mul(count)?;
    let end = offset.checked_add(len)?;
    let bytes = map.bytes(offset as usize..end as usize)?.cast::<T>();
    if !bytes.is_aligned() {
        return None;
    }
    // SAFETY: the bytes lie in a live mapping, aligned for T; a Layout is valid for all bytes and shared with other
    // writers only through its atomics; the reference borrows the mapping. (Memory that was not allocated gives
    // SIGBUS, a crash, but no undefined behaviour.)
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), count as usize) })
}

#[cold]
#[inline(never)]
fn outside(offset: u64) -> ! {
    panic!("offset {offset:#x} lies outside its segment: a bug in multiproc, or a damaged object")
}

#[cfg(test)]
mod tests;
