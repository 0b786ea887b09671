//! A list of things all over the process that a hook can walk at any moment.

use crate::sys::atomic::{AtomicPtr, Ordering};
use std::ptr::null_mut;

/// Addresses of things that come and go.
pub(super) struct Registry<T: 'static> {
    first: Chunk<T>,
}

/// A piece of the list; pieces are added and never freed.
struct Chunk<T: 'static> {
    entries: [AtomicPtr<T>; 64],
    next: AtomicPtr<Chunk<T>>,
}

impl<T> Chunk<T> {
    const fn new() -> Self {
        Chunk {
            entries: [const { AtomicPtr::new(null_mut()) }; 64],
            next: AtomicPtr::new(null_mut()),
        }
    }

    fn next(&self) -> Option<&'static Chunk<T>> {
        // SAFETY: `next` is null or a leaked chunk; Acquire pairs with the Release that published it.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    /// Replaces the first entry `from`, if there is one.
    fn swap(&self, from: *mut T, to: *mut T) -> bool {
        self.entries.iter().any(|entry| {
            // Release publishes what the thing holds to the hook, which runs in a copy of this memory.
            entry.load(Ordering::Relaxed) == from
                && entry
                    .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
                    .is_ok()
        })
    }
}

impl<T> Registry<T> {
    pub(super) const fn new() -> Self {
        Registry {
            first: Chunk::new(),
        }
    }

    fn chunks(&'static self) -> impl Iterator<Item = &'static Chunk<T>> {
        std::iter::successors(Some(&self.first), |chunk| chunk.next())
    }

    /// Lists `thing`, which is to be [removed](Registry::remove) before it is freed.
    pub(super) fn add(&'static self, thing: &T) {
        let mut last = &self.first;
        for chunk in self.chunks() {
            if chunk.swap(null_mut(), address(thing)) {
                return;
            }
            last = chunk;
        }
        last.grow();
        self.add(thing);
    }

    /// Lists `thing` no more.
    pub(super) fn remove(&'static self, thing: &T) {
        self.chunks()
            .any(|chunk| chunk.swap(address(thing), null_mut()));
    }

    /// Visits everything that is listed; without a lock or an allocation.
    ///
    /// # Safety
    ///
    /// Each thing is removed before it is freed, and no other thread removes or frees one meanwhile.
    pub(super) unsafe fn each(&'static self, visit: impl Fn(&T)) {
        for entry in self.chunks().flat_map(|chunk| &chunk.entries) {
            // SAFETY: an entry is null or alive, as the caller promises. Acquire pairs with `Chunk::swap`.
            if let Some(thing) = unsafe { entry.load(Ordering::Acquire).as_ref() } {
                visit(thing);
            }
        }
    }
}

impl<T> Chunk<T> {
    /// Appends a piece, unless another thread did.
    fn grow(&self) {
        let fresh = Box::into_raw(Box::new(Chunk::new()));
        // Release: whoever walks to the chunk sees it empty, not uninitialised.
        let won =
            self.next
                .compare_exchange(null_mut(), fresh, Ordering::Release, Ordering::Relaxed);
        if won.is_err() {
            // SAFETY: `fresh` came from Box::into_raw just above and was not published.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

fn address<T>(thing: &T) -> *mut T {
    std::ptr::from_ref(thing).cast_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::atomic::AtomicU64;

    #[test]
    fn many_things_come_and_go() {
        static LIST: Registry<AtomicU64> = Registry::new();
        let things: Vec<_> = (0..200).map(|_| Box::new(AtomicU64::new(0))).collect();
        let visit_all = || {
            // SAFETY: the things live to the end of this function, and this thread alone lists them.
            unsafe { LIST.each(|thing| _ = thing.fetch_add(1, Ordering::Relaxed)) };
        };
        let visits = |thing: &AtomicU64| thing.load(Ordering::Relaxed);
        things.iter().for_each(|thing| LIST.add(thing));
        visit_all();
        assert!(things.iter().all(|thing| visits(thing) == 1));
        things[..100].iter().for_each(|thing| LIST.remove(thing));
        visit_all();
        assert!(things[..100].iter().all(|thing| visits(thing) == 1));
        assert!(things[100..].iter().all(|thing| visits(thing) == 2));
        things.iter().for_each(|thing| LIST.remove(thing));
        visit_all();
        assert!(things[100..].iter().all(|thing| visits(thing) == 2));
    }
}
