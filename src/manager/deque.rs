//! [`Deque`]: a queue with two ends in a manager.

use super::core::Core;
use super::directory::{Form, Sort};
use super::error::StoreError;
use super::list::{pop, view};
use super::sequence::{Drafts, End, Sequence};
use crate::Result;
use crate::heap::Handle as BlockHandle;
use crate::message::{Encode, Handle, Message, Shape, handle_message, segment_fingerprint};
use crate::tenancy::RawHandle;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A queue with two ends in a [`Manager`](crate::Manager), of values of any type that is a [`Message`].
///
/// Elements are added and taken away at either end, and nobody ever waits for one: whoever wants to has a
/// [`Queue`](crate::Queue), which also gives back what a dead reader had taken. All verbs hold the lock of the deque for a
/// moment.
///
/// A `Deque` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same deque.
///
/// # When a process dies
///
/// Each change has happened wholly or not at all, at whatever instruction its process is killed, with the exceptions that
/// [`extend`](Deque::extend) and [`clear`](Deque::clear) name; the next to use the deque goes on behind it. What a process had
/// taken away is gone with it. A *stopped* process that was changing the deque holds up the others.
///
/// # Cost
///
/// Adding and taking away take the same time however many elements there are, but where the table is full, which is copied then:
/// 16 bytes for each element. An element takes its length, rounded up to the next size of blocks, and 40 to 60 bytes beside. There
/// can be 33,554,431 of them.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Deque, Manager, Process};
///
/// fn work(tasks: Deque<String>) -> multiproc::Result<()> {
///     while let Some(task) = tasks.pop_front()? {
///         if task == "split" {
///             tasks.push_front("second half")?;
///             tasks.push_front("first half")?;
///         }
///     }
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// let tasks = manager.deque::<String>("tasks")?;
/// tasks.extend(["split", "tidy up"])?;
/// let working = [(); 2].map(|()| Process::spawn(work, (tasks.clone(),)));
/// for process in working {
///     process?.join()?;
/// }
/// assert!(tasks.is_empty()?);
/// # Ok(())
/// # }
/// ```
pub struct Deque<T: Message> {
    sequence: Arc<Sequence>,
    value: PhantomData<fn() -> T>,
}

pub(super) fn form<T: Message>() -> Form {
    Form {
        sort: Sort::Deque,
        fingerprint: Shape::new("deque")
            .with(segment_fingerprint::<T>())
            .finish(),
    }
}

impl<T: Message> Deque<T> {
    /// The deque in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        Ok(Deque {
            sequence: Arc::new(Sequence::at(core, index)?),
            value: PhantomData,
        })
    }

    /// Adds an element behind the last one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSpace`] when the manager's limit is reached, and [`StoreError::Unwritable`]; everything stays as it is then.
    #[inline]
    pub fn push_back(&self, value: impl Encode<T>) -> Result<(), StoreError> {
        self.push(End::Back, &value)
    }

    /// Adds an element before the first one.
    ///
    /// # Errors
    ///
    /// Those of [`push_back`](Deque::push_back).
    #[inline]
    pub fn push_front(&self, value: impl Encode<T>) -> Result<(), StoreError> {
        self.push(End::Front, &value)
    }

    #[inline]
    fn push(&self, end: End, value: &impl Encode<T>) -> Result<(), StoreError> {
        let core = &self.sequence.core;
        let me = core.me().map_err(StoreError::refused)?;
        let fresh = core.write::<T>(me, value)?; // before the lock, so that others wait less
        let held = self.sequence.hold_for(fresh)?;
        held.push_one(end, fresh)
    }

    /// Takes the last element away and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`len`](Deque::len), and when a handle in it cannot be attached because its object is gone; the element stays then.
    pub fn pop_back(&self) -> Result<Option<T>> {
        pop(&self.sequence, End::Back)
    }

    /// Takes the first element away and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`pop_back`](Deque::pop_back).
    pub fn pop_front(&self) -> Result<Option<T>> {
        pop(&self.sequence, End::Front)
    }

    /// A copy of the last element, as an ordinary value; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Deque::snapshot).
    pub fn back(&self) -> Result<Option<T>> {
        self.look(End::Back)
    }

    /// A copy of the first element, as an ordinary value; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Deque::snapshot).
    pub fn front(&self) -> Result<Option<T>> {
        self.look(End::Front)
    }

    fn look(&self, end: End) -> Result<Option<T>> {
        let held = self.sequence.hold()?;
        let last = held.last(end);
        last.map(|(_, element)| T::to_owned(view::<T>(&held, element)))
            .transpose()
    }

    /// Adds elements behind the last one, in their order, with no other ones between them.
    ///
    /// The values are written first, then added one by one: of a process that is killed meanwhile the first ones may stay.
    ///
    /// # Errors
    ///
    /// Those of [`push_back`](Deque::push_back); nothing is added then.
    pub fn extend<V: Encode<T>>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), StoreError> {
        let drafts = Drafts::write::<T, V>(&self.sequence.core, values)?;
        self.sequence.hold()?.push_all(drafts)
    }

    /// Takes all elements away.
    ///
    /// It happens in one step, unless the manager has reached its limit: then elements are taken away one by one from the back,
    /// and of a process that is killed meanwhile the first ones may stay.
    ///
    /// # Errors
    ///
    /// As [`len`](Deque::len).
    pub fn clear(&self) -> Result<(), StoreError> {
        self.sequence.hold()?.truncate(0)
    }

    /// Has the element with this index be the first one, and those before it the last ones; counted on around the end where there
    /// are not so many. It happens in one step, and takes as long as there are elements.
    ///
    /// # Errors
    ///
    /// Those of [`push_back`](Deque::push_back).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let turns = multiproc::Manager::new()?.deque::<u32>("turns")?;
    /// turns.extend([1, 2, 3, 4])?;
    /// turns.rotate_left(1)?;
    /// assert_eq!(turns.snapshot()?, [2, 3, 4, 1]);
    /// turns.rotate_right(2)?;
    /// assert_eq!(turns.snapshot()?, [4, 1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate_left(&self, index: usize) -> Result<(), StoreError> {
        self.rotate(|len| index as u64 % len)
    }

    /// Takes so many elements from the back to the front, as [`rotate_left`](Deque::rotate_left) the other way round.
    ///
    /// # Errors
    ///
    /// Those of [`rotate_left`](Deque::rotate_left).
    pub fn rotate_right(&self, count: usize) -> Result<(), StoreError> {
        self.rotate(|len| len - count as u64 % len)
    }

    /// Has that one of all elements be the first.
    fn rotate(&self, first: impl FnOnce(u64) -> u64) -> Result<(), StoreError> {
        let held = self.sequence.hold()?;
        if held.len() < 2 {
            return Ok(());
        }
        let first = first(held.len());
        let turned = held.elements(first, u64::MAX);
        held.arrange(turned.chain(held.elements(0, first)))
    }

    /// All elements, as they are at one instant, as ordinary values.
    ///
    /// Others wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`len`](Deque::len), and when a handle in an element cannot be attached because its object is gone.
    pub fn snapshot(&self) -> Result<Vec<T>> {
        let held = self.sequence.hold()?;
        let owned = |element: BlockHandle| T::to_owned(view::<T>(&held, element));
        held.elements(0, u64::MAX).map(owned).collect()
    }

    /// How many elements there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`].
    pub fn len(&self) -> Result<usize, StoreError> {
        Ok(self.sequence.hold()?.len() as usize)
    }

    /// Whether there is no element.
    ///
    /// # Errors
    ///
    /// As [`len`](Deque::len).
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Makes room in the table for so many elements more.
    ///
    /// # Errors
    ///
    /// Those of [`push_back`](Deque::push_back).
    pub fn reserve(&self, elements: usize) -> Result<(), StoreError> {
        self.sequence.hold()?.reserve(elements as u64)
    }
}

impl<T: Message> Clone for Deque<T> {
    fn clone(&self) -> Self {
        Deque {
            sequence: Arc::clone(&self.sequence),
            value: PhantomData,
        }
    }
}

impl<T: Message> fmt::Debug for Deque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, index) = (T::type_name(), self.sequence.index);
        let segment = self.sequence.core.tenant.segment();
        write!(f, "Deque<{value}>({index} of {segment:?})")
    }
}

impl<T: Message> Handle for Deque<T> {
    fn to_raw(&self) -> RawHandle {
        self.sequence.core.handle(self.sequence.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, form::<T>())?;
        Deque::at(core, index)
    }
}

handle_message!([T: Message] Deque<T>, "Deque", [T]);
