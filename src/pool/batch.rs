//! Several items in one task, for functions of which only what comes of all of them counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::rc::Rc;

use super::frame::Frame;
use crate::message::{Encode, Message, WriteError, copy_bytes};

/// Items, one behind the other: each begins at a multiple of 16, behind 16 bytes that say how long it is.
pub(super) struct Batch<A, V> {
    items: Vec<V>,
    argument: PhantomData<fn(A)>,
}

/// What stands before each item, and what it is aligned to.
const HEAD: usize = 16;

impl<A: Message, V: Encode<A>> Encode<Frame> for Batch<A, V> {
    fn guess(&self) -> usize {
        self.items.iter().map(room_for::<A, V>).sum()
    }

    /// Counts on where the room is too small, so as to say how much is needed.
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        const {
            assert!(
                A::ALIGN <= HEAD,
                "what a pool carries is aligned to 16 bytes"
            )
        };
        let (mut end, mut fits) = (0_usize, true);
        for item in &self.items {
            let head = end.next_multiple_of(HEAD);
            let at = head + HEAD;
            let len = match item.encode(room.get_mut(at..).unwrap_or_default()) {
                Ok(len) => len,
                Err(WriteError::Overflow(len)) => {
                    fits = false;
                    len
                }
                Err(refused) => return Err(refused),
            };
            end = at + len;
            fits &= end <= room.len();
            if fits {
                let room = room.get_mut(head..).unwrap_or_default();
                copy_bytes(&(len as u64).to_ne_bytes(), room)?;
            }
        }
        match fits {
            true => Ok(end),
            false => Err(WriteError::Overflow(end)),
        }
    }
}

fn room_for<A: Message, V: Encode<A>>(item: &V) -> usize {
    HEAD + item.guess().next_multiple_of(HEAD)
}

/// The items of a batch where they lie.
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Items { bytes, at: 0 }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let head = self.at.next_multiple_of(HEAD);
        let len = self.bytes.get(head..head.checked_add(8)?)?;
        let len = usize::try_from(u64::from_ne_bytes(len.try_into().ok()?)).ok()?;
        let begin = head + HEAD;
        self.at = begin.checked_add(len)?;
        self.bytes.get(begin..self.at)
    }
}

/// How many items each batch has that was made and not asked about yet.
pub(super) type Sizes = Rc<RefCell<VecDeque<usize>>>;

/// An input, batch by batch: the fewer items are left, the fewer a batch has, so that all workers end together. As long as
/// nobody knows how many there are, batches begin small and grow.
pub(super) struct Batches<A, I> {
    items: I,
    workers: usize,
    made: usize,
    sizes: Sizes,
    argument: PhantomData<fn(A)>,
}

/// The most items of a batch.
const MOST: usize = 1024;
/// A batch of so many bytes is large enough.
const BYTES: usize = 64 << 10;

impl<A, I: Iterator> Batches<A, I> {
    pub(super) fn new(items: I, workers: usize) -> (Self, Sizes) {
        let sizes = Sizes::default();
        let batches = Batches {
            items,
            workers: workers.max(1),
            made: 0,
            sizes: Rc::clone(&sizes),
            argument: PhantomData,
        };
        (batches, sizes)
    }

    fn size(&self) -> usize {
        match self.items.size_hint() {
            (least, Some(most)) if least == most => (least / (4 * self.workers)).clamp(1, MOST),
            _ => 1 << (self.made / (2 * self.workers)).min(8),
        }
    }
}

impl<A: Message, I: Iterator<Item: Encode<A>>> Iterator for Batches<A, I> {
    type Item = Batch<A, I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.size();
        let (mut items, mut bytes) = (Vec::with_capacity(size), 0);
        while items.len() < size && bytes < BYTES {
            let Some(item) = self.items.next() else { break };
            bytes += room_for::<A, _>(&item);
            items.push(item);
        }
        if items.is_empty() {
            return None;
        }
        self.made += 1;
        self.sizes.borrow_mut().push_back(items.len());
        Some(Batch {
            items,
            argument: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Bytes, Packed};

    fn written<A: Message, V: Encode<A>>(batch: &Batch<A, V>) -> Packed {
        let Err(WriteError::Overflow(len)) = batch.encode(&mut []) else {
            panic!("nothing has room for an item")
        };
        let mut room = vec![MaybeUninit::new(0); len];
        assert_eq!(batch.encode(&mut room), Ok(len));
        assert!(len <= batch.guess());
        // SAFETY: all of it was initialised.
        let bytes: Vec<u8> = room.iter().map(|b| unsafe { b.assume_init() }).collect();
        Packed::copy_of(&bytes)
    }

    #[test]
    fn items_of_any_length_come_one_by_one() {
        let words = ["", "a", "a word of more than sixteen bytes", "b"].map(str::as_bytes);
        let (mut batches, sizes) = Batches::<Bytes, _>::new(words.into_iter().filter(|_| true), 2);
        let (first, second) = (batches.next().unwrap(), batches.next().unwrap());
        assert_eq!(*sizes.borrow(), [1, 1], "small, as nobody knows how many");
        assert!(Items::new(written(&first).bytes()).eq([words[0]]));
        assert!(Items::new(written(&second).bytes()).eq([words[1]]));
        let all = Batch::<Bytes, _> {
            items: words.to_vec(),
            argument: PhantomData,
        };
        let bytes = written(&all);
        assert!(Items::new(bytes.bytes()).eq(words));
        for cut in 0..bytes.bytes().len() {
            assert!(Items::new(&bytes.bytes()[..cut]).count() < 4, "{cut}");
        }
        assert_eq!(Items::new(&[255; 64]).count(), 0, "rubbish is no panic");
    }

    #[test]
    fn batches_shrink_towards_the_end() {
        let (batches, sizes) = Batches::<u64, _>::new(0..1000_u64, 2);
        assert_eq!(batches.map(|batch| batch.items.len()).sum::<usize>(), 1000);
        let sizes = sizes.borrow();
        assert_eq!((sizes[0], sizes[sizes.len() - 1]), (125, 1));
        assert!(sizes.iter().is_sorted_by(|a, b| a >= b));
    }
}
