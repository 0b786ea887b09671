//! [`List`]: a list in a manager, read in place without a lock.

use super::cell::CellGuard;
use super::core::{Core, changing};
use super::directory::{Form, Sort};
use super::error::StoreError;
use super::sequence::{Drafts, End, Held, Sequence, Spot};
use crate::Result;
use crate::heap::Handle as BlockHandle;
use crate::message::{Encode, Handle, Message, Shape, handle_message, segment_fingerprint};
use crate::tenancy::RawHandle;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// A list in a [`Manager`](crate::Manager), of values of any type that is a [`Message`].
///
/// Whoever [gets](List::get) an element has a guard that derefs to its [view](Message::View), as with a [`Cell`](crate::Cell): the
/// value that it shows never changes and never goes away while the guard lives. Readers of single elements take no lock and wait
/// for nobody. Who changes the list holds its lock; who looks at more than one element, or at the length, too.
///
/// A `List` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same list. So a
/// list can be an element of another one, and the value of a cell or of a dictionary's key.
///
/// # When a process dies
///
/// Each change has happened wholly or not at all, at whatever instruction its process is killed, with the exceptions that
/// [`extend`](List::extend) and [`truncate`](List::truncate) name; the next to change the list goes on behind it. A killed reader
/// holds nothing back. A *stopped* process that was changing the list holds up those who change it, and no reader of single
/// elements.
///
/// # Cost
///
/// [`get`](List::get), [`set`](List::set), [`push`](List::push) and [`pop`](List::pop) take the same time however long the list
/// is, but for a `push` that finds the table full, which copies it: 16 bytes for each element. [`insert`](List::insert) and
/// [`remove`](List::remove) copy the table, always but at the end. An element takes its length, rounded up to the next size of
/// blocks, and 40 to 60 bytes beside. There can be 33,554,431 of them.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{List, Manager, Process};
///
/// fn square(numbers: List<u64>, index: usize) -> multiproc::Result<()> {
///     numbers.update(index, |number| number.to_native() * number.to_native())?;
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// let numbers: List<u64> = manager.list_from("numbers", [1, 2, 3])?;
/// let squaring = [0, 1, 2].map(|index| Process::spawn(square, (numbers.clone(), index)));
/// for process in squaring {
///     process?.join()?;
/// }
/// numbers.push(16)?;
/// assert_eq!(numbers.snapshot()?, [1, 4, 9, 16]);
/// assert_eq!(numbers.get(2)?.as_deref().map(|number| number.to_native()), Some(9));
/// # Ok(())
/// # }
/// ```
pub struct List<T: Message> {
    pub(super) sequence: Arc<Sequence>,
    value: PhantomData<fn() -> T>,
}

pub(super) fn form<T: Message>() -> Form {
    Form {
        sort: Sort::List,
        fingerprint: Shape::new("list").with(segment_fingerprint::<T>()).finish(),
    }
}

impl<T: Message> List<T> {
    /// The list in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        Ok(List {
            sequence: Arc::new(Sequence::at(core, index)?),
            value: PhantomData,
        })
    }

    /// Puts first values into a list in which there never was any; all of them in one step.
    pub(super) fn fill<V: Encode<T>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), StoreError> {
        let drafts = Drafts::write::<T, V>(&self.sequence.core, values)?;
        let held = self.sequence.hold()?;
        match held.is_untouched() && !drafts.is_empty() {
            true => held.insert(0, drafts),
            false => Ok(()),
        }
    }

    /// The element with this index, in place; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Cell::get`](crate::Cell::get).
    #[inline]
    pub fn get(&self, index: usize) -> Result<Option<CellGuard<'_, T>>> {
        let found = self.sequence.find(index)?;
        // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the list was opened.
        Ok(found.map(|element| unsafe { CellGuard::new(element, self.sequence.root()) }))
    }

    /// A copy of the element with this index, as an ordinary value; handles in it are attached.
    ///
    /// # Errors
    ///
    /// Those of [`get`](List::get), and when a handle cannot be attached because its object is gone.
    pub fn get_owned(&self, index: usize) -> Result<Option<T>> {
        self.get(index)?
            .map(|element| element.to_owned())
            .transpose()
    }

    /// Stores a value in place of the element with this index.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfRange`] if there is none, [`StoreError::NoSpace`] when the manager's limit is reached, and
    /// [`StoreError::Unwritable`]; everything stays as it is then. [`StoreError::Deadlock`] within a function that was given to
    /// another verb of this list.
    #[inline]
    pub fn set(&self, index: usize, value: impl Encode<T>) -> Result<(), StoreError> {
        let core = &self.sequence.core;
        let me = core.me().map_err(StoreError::refused)?;
        let fresh = core.write::<T>(me, &value)?; // before the lock, so that others wait less
        let held = self.sequence.hold_for(fresh)?;
        match found(&held, index) {
            Ok((spot, _)) => held.put(spot, fresh),
            Err(refused) => {
                core.heap.give_back(me, fresh.0);
                Err(refused)
            }
        }
    }

    /// Stores a value in place of the element with this index if that is still the one that `seen` shows; says whether it was.
    ///
    /// # Errors
    ///
    /// Those of [`set`](List::set) but `OutOfRange`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{List, Manager};
    ///
    /// let seats: List<String> = Manager::new()?.list_from("seats", ["free", "free"])?;
    /// let seen = seats.get(1)?.expect("a seat");
    /// seats.set(1, "taken")?;
    /// assert!(!seats.replace_if(1, &seen, "mine")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replace_if(
        &self,
        index: usize,
        seen: &CellGuard<'_, T>,
        value: impl Encode<T>,
    ) -> Result<bool, StoreError> {
        let held = self.sequence.hold()?;
        match found(&held, index) {
            Ok((spot, element)) if seen.found_by(self.sequence.root()) == Some(element) => {
                held.put(spot, self.sequence.core.write::<T>(held.me, &value)?)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Stores what `change` makes of the element with this index, in its place.
    ///
    /// `change` is called once, while nobody else changes the list. Do not change this or another list within it.
    ///
    /// # Errors
    ///
    /// Those of [`set`](List::set).
    ///
    /// # Panics
    ///
    /// When `change` does; nothing is changed then.
    pub fn update<V: Encode<T>>(
        &self,
        index: usize,
        change: impl FnOnce(&T::View) -> V,
    ) -> Result<(), StoreError> {
        let held = self.sequence.hold()?;
        let (spot, element) = found(&held, index)?;
        let value = changing(|| change(view::<T>(&held, element)));
        held.put(spot, self.sequence.core.write::<T>(held.me, &value)?)
    }

    /// Adds an element behind the last one.
    ///
    /// # Errors
    ///
    /// Those of [`set`](List::set) but `OutOfRange`.
    #[doc(alias = "append")]
    #[inline]
    pub fn push(&self, value: impl Encode<T>) -> Result<(), StoreError> {
        let core = &self.sequence.core;
        let me = core.me().map_err(StoreError::refused)?;
        let fresh = core.write::<T>(me, &value)?; // as in `set`
        let held = self.sequence.hold_for(fresh)?;
        held.push_one(End::Back, fresh)
    }

    /// Takes the last element away and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`len`](List::len), and when a handle in it cannot be attached because its object is gone; the element stays then.
    pub fn pop(&self) -> Result<Option<T>> {
        pop(&self.sequence, End::Back)
    }

    /// Puts an element before the one with this index, or behind the last one if there are as many.
    ///
    /// # Errors
    ///
    /// Those of [`set`](List::set), `OutOfRange` if there are fewer.
    pub fn insert(&self, index: usize, value: impl Encode<T>) -> Result<(), StoreError> {
        let drafts = Drafts::write::<T, _>(&self.sequence.core, [value])?;
        let held = self.sequence.hold()?;
        let (at, len) = (index as u64, held.len());
        match at {
            _ if at < len => held.insert(at, drafts),
            _ if at == len => held.push_all(drafts),
            _ => Err(out_of_range(&held, index)),
        }
    }

    /// Takes the element with this index away and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](List::pop), and [`NoSpace`](crate::ErrorKind::NoSpace) if it is not the last one and there is no memory for
    /// the table without it.
    #[doc(alias = "delete")]
    pub fn remove(&self, index: usize) -> Result<Option<T>> {
        let held = self.sequence.hold()?;
        let Ok((spot, element)) = found(&held, index) else {
            return Ok(None);
        };
        let value = T::to_owned(view::<T>(&held, element))?; // before it is gone
        match index as u64 + 1 == held.len() {
            true => held.pop(End::Back, (spot, element)),
            false => held.remove(index as u64, 1)?,
        }
        Ok(Some(value))
    }

    /// Adds elements behind the last one, in their order, with no other ones between them.
    ///
    /// The values are written first, then added one by one: who reads without the lock sees them come, and of a process that is
    /// killed meanwhile the first ones may stay.
    ///
    /// # Errors
    ///
    /// Those of [`push`](List::push); nothing is added then.
    pub fn extend<V: Encode<T>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), StoreError> {
        let drafts = Drafts::write::<T, V>(&self.sequence.core, values)?;
        self.sequence.hold()?.push_all(drafts)
    }

    /// Takes all elements away but the first `keep`; does nothing if there are not more.
    ///
    /// It happens in one step, unless the manager has reached its limit: then elements are taken away one by one from the back,
    /// and of a process that is killed meanwhile more of them may stay.
    ///
    /// # Errors
    ///
    /// As [`len`](List::len).
    pub fn truncate(&self, keep: usize) -> Result<(), StoreError> {
        self.sequence.hold()?.truncate(keep as u64)
    }

    /// Takes all elements away, as [`truncate`](List::truncate).
    ///
    /// # Errors
    ///
    /// As [`len`](List::len).
    pub fn clear(&self) -> Result<(), StoreError> {
        self.truncate(0)
    }

    /// The elements with these indices, as they are at one instant, as ordinary values; those that there are.
    ///
    /// Those who change the list wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`len`](List::len), and when a handle in an element cannot be attached because its object is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{List, Manager};
    ///
    /// let list: List<u32> = Manager::new()?.list_from("list", [1, 2, 3, 4])?;
    /// assert_eq!(list.read(1..3)?, [2, 3]);
    /// assert_eq!(list.read(3..9)?, [4]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "slice")]
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let (from, count) = extent(&range);
        let held = self.sequence.hold()?;
        held.elements(from, count)
            .map(|element| T::to_owned(view::<T>(&held, element)))
            .collect()
    }

    /// All elements, as they are at one instant, as ordinary values.
    ///
    /// # Errors
    ///
    /// Those of [`read`](List::read).
    pub fn snapshot(&self) -> Result<Vec<T>> {
        self.read(..)
    }

    /// Shows each element in its order, in place and with its index, while nobody changes the list.
    ///
    /// # Errors
    ///
    /// As [`len`](List::len).
    ///
    /// # Panics
    ///
    /// When `look` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{List, Manager};
    ///
    /// let words: List<String> = Manager::new()?.list_from("words", ["one", "two"])?;
    /// let mut text = String::new();
    /// words.for_each(|index, word| text += &format!("{index}: {word} "))?;
    /// assert_eq!(text, "0: one 1: two ");
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_each(&self, mut look: impl FnMut(usize, &T::View)) -> Result<(), StoreError> {
        let held = self.sequence.hold()?;
        held.elements(0, u64::MAX)
            .enumerate()
            .for_each(|(index, element)| changing(|| look(index, view::<T>(&held, element))));
        Ok(())
    }

    /// Puts the elements into the order that `compare` says; equal ones keep theirs. It happens in one step.
    ///
    /// Copies of them are compared, while nobody changes the list; they themselves stay where they are.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](List::snapshot), and [`NoSpace`](crate::ErrorKind::NoSpace) if there is no memory for another table;
    /// the order stays then.
    ///
    /// # Panics
    ///
    /// When `compare` does; the order stays then.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{List, Manager};
    ///
    /// let list: List<u32> = Manager::new()?.list_from("list", [2, 3, 1])?;
    /// list.sort_by(|one, other| other.cmp(one))?;
    /// assert_eq!(list.snapshot()?, [3, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sort_by(&self, mut compare: impl FnMut(&T, &T) -> Ordering) -> Result<()> {
        let held = self.sequence.hold()?;
        let copies = held
            .elements(0, u64::MAX)
            .map(|element| Ok((element, T::to_owned(view::<T>(&held, element))?)));
        let mut copies: Vec<(BlockHandle, T)> = copies.collect::<Result<_>>()?;
        changing(|| copies.sort_by(|(_, one), (_, other)| compare(one, other)));
        Ok(held.arrange(copies.iter().map(|(element, _)| *element))?)
    }

    /// Puts the elements into the order of what `key` makes of each. See [`sort_by`](List::sort_by).
    ///
    /// # Errors
    ///
    /// Those of [`sort_by`](List::sort_by).
    ///
    /// # Panics
    ///
    /// When `key` does, or comparing; the order stays then.
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&T) -> K) -> Result<()> {
        self.sort_by(|one, other| key(one).cmp(&key(other)))
    }

    /// How many elements there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`], and [`StoreError::Deadlock`] as [`set`](List::set).
    pub fn len(&self) -> Result<usize, StoreError> {
        Ok(self.sequence.hold()?.len() as usize)
    }

    /// Whether there is no element.
    ///
    /// # Errors
    ///
    /// As [`len`](List::len).
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Makes room in the table for so many elements more: for millions of them it saves the memory of the tables that are too
    /// small on the way.
    ///
    /// # Errors
    ///
    /// Those of [`push`](List::push).
    pub fn reserve(&self, elements: usize) -> Result<(), StoreError> {
        self.sequence.hold()?.reserve(elements as u64)
    }
}

/// The element with this index.
#[inline]
fn found(held: &Held<'_>, index: usize) -> Result<(Spot, BlockHandle), StoreError> {
    let spot = held.spot(index as u64);
    spot.and_then(|spot| Some((spot, spot.element()?)))
        .ok_or_else(|| out_of_range(held, index))
}

#[cold]
fn out_of_range(held: &Held<'_>, index: usize) -> StoreError {
    StoreError::OutOfRange {
        index,
        len: held.len() as usize,
    }
}

/// An element in place.
#[inline(always)]
pub(super) fn view<'a, T: Message>(held: &'a Held<'_>, element: BlockHandle) -> &'a T::View {
    // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the list was opened.
    unsafe { T::view(held.bytes(element)) }
}

/// Takes the element at one end away and returns it.
pub(super) fn pop<T: Message>(sequence: &Sequence, end: End) -> Result<Option<T>> {
    let held = sequence.hold()?;
    let Some(last) = held.last(end) else {
        return Ok(None);
    };
    let value = T::to_owned(view::<T>(&held, last.1))?; // before it is gone
    held.pop(end, last);
    Ok(Some(value))
}

/// Where a range begins, and how many indices it has at most.
fn extent(range: &impl RangeBounds<usize>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(&first) => first as u64,
        Bound::Excluded(&before) => (before as u64).saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => (last as u64).saturating_add(1),
        Bound::Excluded(&end) => end as u64,
        Bound::Unbounded => u64::MAX,
    };
    (from, end.saturating_sub(from))
}

impl<T: Message> Clone for List<T> {
    fn clone(&self) -> Self {
        List {
            sequence: Arc::clone(&self.sequence),
            value: PhantomData,
        }
    }
}

impl<T: Message> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, index) = (T::type_name(), self.sequence.index);
        let segment = self.sequence.core.tenant.segment();
        write!(f, "List<{value}>({index} of {segment:?})")
    }
}

impl<T: Message> Handle for List<T> {
    fn to_raw(&self) -> RawHandle {
        self.sequence.core.handle(self.sequence.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, form::<T>())?;
        List::at(core, index)
    }
}

handle_message!([T: Message] List<T>, "List", [T]);
