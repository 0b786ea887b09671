//! One object at a fixed place of a segment.

use super::Segment;
use super::layout::{Layout, Offset};
use std::ptr::NonNull;
use std::sync::Arc;

/// A `T` in a segment, which it keeps mapped; looked up once, and one load away from then on.
pub(crate) struct Place<T> {
    at: NonNull<T>,
    segment: Arc<Segment>,
}

// SAFETY: a place hands out shared references to a `T: Layout` (atomics); the mapping is kept alive by the `Arc`, and
// `Segment` is Send and Sync.
unsafe impl<T: Layout> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Layout> Sync for Place<T> {}

impl<T: Layout> Place<T> {
    /// The `T` at `offset`.
    ///
    /// # Panics
    ///
    /// When it does not fit the segment, or is not aligned: a mistake of the caller's plan, found at attach and never
    /// at use.
    pub(crate) fn new(segment: &Arc<Segment>, offset: u64) -> Self {
        let found = segment.get(Offset::<T>::new(offset));
        Place {
            at: NonNull::from(found.expect("the plan fits the segment")),
            segment: Arc::clone(segment),
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: bounded and aligned when the place was made, mapped for as long as the segment is kept, and a
        // `Layout`, valid for any bytes.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Place {
            at: self.at,
            segment: Arc::clone(&self.segment),
        }
    }
}

impl<T> std::fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:p} in {:?})", self.at, self.segment)
    }
}

/// Some `T`s in a row in a segment, which they keep mapped; looked up once, and one load away from then on.
pub(crate) struct Places<T> {
    at: NonNull<[T]>,
    segment: Arc<Segment>,
}

// SAFETY: places hand out shared references to `T: Layout` (atomics); the mapping is kept alive by the `Arc`, and
// `Segment` is Send and Sync.
unsafe impl<T: Layout> Send for Places<T> {}
// SAFETY: as above.
unsafe impl<T: Layout> Sync for Places<T> {}

impl<T: Layout> Places<T> {
    /// The `count` of `T` from `offset`; `None` if they do not fit the segment, or are not aligned.
    pub(crate) fn new(segment: &Arc<Segment>, offset: u64, count: u32) -> Option<Self> {
        let found = segment.slice(Offset::<T>::new(offset), count.into())?;
        Some(Places {
            at: NonNull::from(found),
            segment: Arc::clone(segment),
        })
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &[T] {
        // SAFETY: bounded and aligned when the places were made, mapped for as long as the segment is kept, and each a
        // `Layout`, valid for any bytes.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Clone for Places<T> {
    fn clone(&self) -> Self {
        Places {
            at: self.at,
            segment: Arc::clone(&self.segment),
        }
    }
}
