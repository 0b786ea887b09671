//! Memory that forked workers share with each other.

use std::ptr::NonNull;

/// An anonymous shared mapping, zeroed, touched at creation, unmapped on drop.
#[derive(Debug)]
pub struct Shared {
    base: NonNull<u8>,
    len: usize,
}

impl Shared {
    /// Maps `len` bytes and touches every page, so that no figure contains a first touch.
    ///
    /// # Panics
    ///
    /// When the kernel refuses the mapping.
    pub fn new(len: usize) -> Self {
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        );
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "mmap of {len} bytes");
        let base = NonNull::new(base.cast()).expect("a mapping is never at address 0");
        Self { base, len }
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The object of type `T` at `offset`.
    ///
    /// # Safety
    ///
    /// `T` must be valid for whatever bytes are there, and shared by atomics or by the caller's own protocol.
    ///
    /// # Panics
    ///
    /// When the object would not lie within the mapping, or not aligned.
    pub unsafe fn at<T>(&self, offset: usize) -> &T {
        assert!(offset + size_of::<T>() <= self.len && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: in bounds and aligned as asserted (a mapping is page-aligned); validity is the caller's promise.
        unsafe { self.base.add(offset).cast().as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; no reference into it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

// SAFETY: a mapping belongs to the process, not to a thread; access goes through `at`, whose caller synchronises.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}
