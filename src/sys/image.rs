//! The running executable as its own children see it: which image it is, and where in it a function lies.
//!
//! A child runs the same file at another address, so a function crosses as its offset from the image's load address.
//! The offset means something in the very same build only; the [`BuildId`] says whether this is it.

use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::{io, mem, slice};

/// Names one build: the linker's build-id note, or the executable's file where the linker wrote none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BuildId([u8; BuildId::LEN]);

impl BuildId {
    pub(crate) const LEN: usize = 40;
    const NOTE: u8 = 1;
    const FILE: u8 = 2;

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        BuildId(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    fn tagged(tag: u8, id: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        let len = id.len().min(Self::LEN - 1);
        bytes[0] = tag;
        bytes[1..=len].copy_from_slice(&id[..len]);
        BuildId(bytes)
    }

    /// Device, inode, size and time of the executable: enough, as a child runs the very inode its parent runs.
    fn of_file() -> io::Result<Self> {
        let meta = std::fs::metadata(super::process::OWN_IMAGE_PATH)?;
        let mtime = meta.mtime().wrapping_mul(1_000_000_000) + meta.mtime_nsec();
        let words = [meta.dev(), meta.ino(), meta.size(), mtime as u64];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        Ok(BuildId::tagged(Self::FILE, &bytes))
    }
}

/// The image that holds this library's code.
#[derive(Debug)]
pub(crate) struct Image {
    base: usize,
    /// Address ranges of executable code.
    text: Vec<(usize, usize)>,
    id: BuildId,
}

impl Image {
    /// The image of this library, found once.
    pub(crate) fn own() -> io::Result<&'static Image> {
        static OWN: OnceLock<Image> = OnceLock::new();
        if let Some(image) = OWN.get() {
            return Ok(image);
        }
        let image = Image::find(anchor as *const () as usize)?;
        Ok(OWN.get_or_init(|| image))
    }

    pub(crate) fn id(&self) -> &BuildId {
        &self.id
    }

    /// The offset of a function of this image; `None` for an address of another image (a dynamic library).
    pub(crate) fn offset_of(&self, function: usize) -> Option<u64> {
        self.contains(function)
            .then(|| (function - self.base) as u64)
    }

    /// The function of type `F` at `offset`; `None` where this image has no code.
    ///
    /// # Safety
    ///
    /// `F` is a function pointer type, and `offset` was made by [`offset_of`](Image::offset_of) from a function of
    /// exactly that type in a process running the same build.
    pub(crate) unsafe fn function_at<F: Copy>(&self, offset: u64) -> Option<F> {
        const { assert!(mem::size_of::<F>() == mem::size_of::<usize>()) };
        let address = usize::try_from(offset).ok()?.checked_add(self.base)?;
        if !self.contains(address) {
            return None;
        }
        let pointer = address as *const ();
        // SAFETY: F has the size of a pointer (asserted) and is a function pointer (the caller's promise); the address
        // lies in executable code of this image and was a function of that type in the same build.
        Some(unsafe { mem::transmute_copy::<*const (), F>(&pointer) })
    }

    fn contains(&self, address: usize) -> bool {
        self.text
            .iter()
            .any(|&(from, to)| (from..to).contains(&address))
    }

    fn find(anchor: usize) -> io::Result<Self> {
        let mut search = Search {
            anchor,
            found: None,
        };
        // SAFETY: `visit` has the signature asked for and treats its last argument as the `Search` passed here, which
        // outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        let found = search
            .found
            .ok_or_else(|| io::Error::other("the running image has no program headers"))?;
        let id = match found.note {
            Some(id) => id,
            None => BuildId::of_file()?,
        };
        Ok(Image {
            base: found.base,
            text: found.text,
            id,
        })
    }
}

/// Lies in the image whose functions may be entries.
fn anchor() {}

struct Search {
    anchor: usize,
    found: Option<Found>,
}

struct Found {
    base: usize,
    text: Vec<(usize, usize)>,
    note: Option<BuildId>,
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: dl_iterate_phdr passes a valid description of a loaded image, and back the pointer given to it, which
    // is the only reference to the `Search` during the call.
    let (info, search) = unsafe { (&*info, &mut *data.cast::<Search>()) };
    let base = info.dlpi_addr as usize;
    // SAFETY: the loader's own table: dlpi_phnum headers at dlpi_phdr, mapped as long as the image is.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let code = |h: &&libc::Elf64_Phdr| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_X != 0;
    let range = |h: &libc::Elf64_Phdr| {
        let from = base + h.p_vaddr as usize;
        (from, from + h.p_memsz as usize)
    };
    let text: Vec<_> = headers.iter().filter(code).map(range).collect();
    if !text
        .iter()
        .any(|&(from, to)| (from..to).contains(&search.anchor))
    {
        return 0;
    }
    let note = headers
        .iter()
        .filter(|h| h.p_type == libc::PT_NOTE)
        .find_map(|h| {
            let start = range(h).0 as *const u8;
            // SAFETY: a note segment of a loaded image is mapped readable at its address for its whole length, and
            // nothing writes to it.
            build_id(unsafe { slice::from_raw_parts(start, h.p_memsz as usize) })
        });
    search.found = Some(Found { base, text, note });
    1
}

/// The GNU build id among the notes of one segment: records of three lengths-and-type words, a name and a body.
fn build_id(mut notes: &[u8]) -> Option<BuildId> {
    const HEAD: usize = 12;
    const GNU_BUILD_ID: u32 = 3;
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    loop {
        let (name_len, body_len) = (word(notes, 0)? as usize, word(notes, 4)? as usize);
        let kind = word(notes, 8)?;
        let body = HEAD + name_len.next_multiple_of(4);
        let name = notes.get(HEAD..HEAD + name_len)?;
        if kind == GNU_BUILD_ID && name == b"GNU\0" {
            return Some(BuildId::tagged(
                BuildId::NOTE,
                notes.get(body..body + body_len)?,
            ));
        }
        notes = notes.get(body + body_len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(x: u32) -> u32 {
        x * 2
    }

    #[test]
    fn a_function_is_found_again_by_its_offset() {
        let image = Image::own().unwrap();
        let offset = image.offset_of(double as fn(u32) -> u32 as usize).unwrap();
        // SAFETY: the offset was made two lines above from a function of this type.
        let again: fn(u32) -> u32 = unsafe { image.function_at(offset) }.unwrap();
        assert_eq!(again(21), 42);
    }

    #[test]
    fn addresses_outside_the_code_are_no_functions() {
        let image = Image::own().unwrap();
        let local = 0_u8;
        assert_eq!(image.offset_of(&raw const local as usize), None);
        // SAFETY: the offset lies outside the image, so no function is made of it.
        assert!(unsafe { image.function_at::<fn()>(u64::MAX / 2) }.is_none());
    }

    #[test]
    fn the_note_is_found_behind_other_notes() {
        let mut notes = Vec::new();
        let mut note = |kind: u32, name: &[u8], body: &[u8]| {
            for word in [name.len() as u32, body.len() as u32, kind] {
                notes.extend(word.to_ne_bytes());
            }
            for part in [name, body] {
                notes.extend(part);
                notes.resize(notes.len().next_multiple_of(4), 0);
            }
        };
        note(1, b"GNU\0", &[7; 16]);
        note(5, b"stapsdt\0", b"odd");
        note(3, b"GNU\0", &[9; 20]);
        let id = build_id(&notes).unwrap();
        assert_eq!(id, BuildId::tagged(BuildId::NOTE, &[9; 20]));
        assert_eq!(build_id(&notes[..30]), None);
        assert_eq!(build_id(&[]), None);
    }

    #[test]
    fn one_file_has_one_identity() {
        assert_eq!(BuildId::of_file().unwrap(), BuildId::of_file().unwrap());
    }
}
