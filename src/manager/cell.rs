//! [`Cell`]: one value in a manager, read in place without a lock.

use super::core::Core;
use super::directory::{Form, KIND, Sort};
use super::error::StoreError;
use crate::heap::{Fresh, Handle as BlockHandle, Reading};
use crate::message::{
    Encode, Handle, Message, WriteError, bytes_at, copy_bytes, handle_message, segment_fingerprint,
};
use crate::segment::Place;
use crate::sys::atomic::AtomicU64;
use crate::sys::identity::Participant;
use crate::tenancy::RawHandle;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// One value in a [`Manager`](crate::Manager), of any type that is a [`Message`]: read in place without a lock, and
/// replaced as a whole.
///
/// Whoever reads has a guard that derefs to the value's [view](Message::View). The value that it shows never changes and never
/// goes away while the guard lives, whatever is stored meanwhile; it is only not the newest any more. Who stores writes a new
/// value beside the old one and then leads the cell there, in one step: readers see the one or the other, never a mixture.
///
/// A `Cell` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same cell.
///
/// # When a process dies
///
/// A store has happened wholly or not at all, at whatever instruction its process is killed; the memory that it took is used
/// again. A killed reader holds nothing back. A *stopped* reader holds back what it reads, and nothing else.
///
/// # Waiting and cost
///
/// Reading never waits; storing only for a [transaction](crate::Manager::transaction) that is just being committed and changes
/// the cell too. [`update`](Cell::update) begins again where another process was faster, and one of them always gets through. Reading makes no system call and stores to no line that others look at; a store takes memory that earlier
/// values have left.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Cell, Manager, Process};
///
/// fn work(words: Cell<Vec<String>>) -> multiproc::Result<usize> {
///     words.update(|now| {
///         let mut all: Vec<String> = now.iter().map(|word| word.to_string()).collect();
///         all.push("world".to_string());
///         all
///     })?;
///     Ok(words.get()?.len())
/// }
///
/// let manager = Manager::new()?;
/// let words = manager.cell("words", vec!["hello".to_string()])?;
/// assert_eq!(Process::spawn(work, (words.clone(),))?.join()?, 2);
/// assert_eq!(words.get()?[1], "world");
/// # Ok(())
/// # }
/// ```
pub struct Cell<T: Message> {
    pub(super) core: Arc<Core>,
    index: u32,
    pub(super) home: u64,
    pub(super) word: Place<AtomicU64>,
    value: PhantomData<fn() -> T>,
}

/// A value of a [`Cell`], or an element of a [`List`](crate::List), read in place: a guard that derefs to its view.
///
/// It shows the value that was there when it was made. The memory of that value stays as long as the guard lives, so do not
/// keep many for long; it belongs to the thread that made it.
#[must_use = "the value may be replaced as soon as the guard is dropped"]
pub struct CellGuard<'a, T: Message> {
    reading: Reading<'a>,
    view: NonNull<T::View>,
    /// The cell that it was found by: its own, or that of the list.
    word: &'a AtomicU64,
}

// SAFETY: a shared guard gives shared access to a view, and nothing else.
unsafe impl<T: Message<View: Sync>> Sync for CellGuard<'_, T> {}

pub(super) fn form<T: Message>() -> Form {
    Form {
        sort: Sort::Cell,
        fingerprint: segment_fingerprint::<T>(),
    }
}

impl<T: Message> Cell<T> {
    /// The cell in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        let place = core.heap.room().object_row(index)?;
        let home = core.heap.home_at(place).ok_or_else(gone)?;
        let word = Place::new(core.tenant.segment(), place);
        Ok(Cell {
            core,
            index,
            home,
            word,
            value: PhantomData,
        })
    }

    /// Puts the first value into a cell that nobody else sees yet.
    pub(super) fn init(core: &Core, place: u64, value: &impl Encode<T>) -> Result<()> {
        let me = core.me()?;
        let fresh = core.write::<T>(me, value)?;
        core.begin(me, place, fresh).ok_or_else(gone)
    }

    /// The value, in place.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when more threads read in this manager than there is room for (4,096, with 15 guards
    /// each), [`Os`](ErrorKind::Os) when a forked child cannot join.
    #[inline]
    pub fn get(&self) -> Result<CellGuard<'_, T>> {
        let reading = self.core.heap.read(|| self.core.me(), self.word.get())?;
        let reading = reading.ok_or_else(gone)?;
        // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the cell was opened.
        Ok(unsafe { CellGuard::new(reading, self.word.get()) })
    }

    /// A copy of the value, as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Cell::get), and when a handle cannot be attached because its object is gone.
    pub fn get_owned(&self) -> Result<T> {
        T::to_owned(&*self.get()?)
    }

    /// Stores a value in place of whatever is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSpace`] when the manager's limit is reached, and [`StoreError::Unwritable`]; the old value stays then.
    #[inline]
    pub fn set(&self, value: impl Encode<T>) -> Result<(), StoreError> {
        let me = self.core.me().map_err(StoreError::refused)?;
        let fresh = self.core.write::<T>(me, &value)?;
        while !self.lead_to(me, self.core.heap.current(self.home), fresh) {
            self.core.outwait(me, self.home)?;
        }
        Ok(())
    }

    /// Stores what `change` makes of the value that is there, which nobody has replaced in between.
    ///
    /// `change` is called again where another process was faster. Of all updates that have returned none is lost, and one
    /// whose process was killed has happened once or not at all.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Cell::get) and [`set`](Cell::set).
    ///
    /// # Panics
    ///
    /// When `change` does; nothing is stored then.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// let best = manager.cell("best", (0_u32, "nobody".to_string()))?;
    /// best.update(|now| (now.0.to_native() + 7, "somebody".to_string()))?;
    /// assert_eq!(best.get_owned()?, (7, "somebody".to_string()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<V: Encode<T>>(
        &self,
        mut change: impl FnMut(&T::View) -> V,
    ) -> Result<(), StoreError> {
        loop {
            let seen = self.get().map_err(StoreError::from_heap)?;
            if self.replace_if(&seen, change(&seen))? {
                return Ok(());
            }
        }
    }

    /// Stores a value if the one that `seen` shows is still there; says whether it was.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Cell::set).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// let manager = multiproc::Manager::new()?;
    /// let owner = manager.cell("owner", "nobody".to_string())?;
    /// let seen = owner.get()?;
    /// owner.set("somebody")?;
    /// assert!(!owner.replace_if(&seen, "me")?);
    /// assert!(owner.replace_if(&owner.get()?, "me")?);
    /// assert_eq!(*owner.get()?, *"me");
    /// # Ok(())
    /// # }
    /// ```
    pub fn replace_if(
        &self,
        seen: &CellGuard<'_, T>,
        value: impl Encode<T>,
    ) -> Result<bool, StoreError> {
        let Some(block) = seen.found_by(self.word.get()) else {
            return Ok(false);
        };
        let me = self.core.me().map_err(StoreError::refused)?;
        let fresh = self.core.write::<T>(me, &value)?;
        let mut done = self.lead_to(me, Some(block), fresh);
        while !done && self.core.heap.is_tied(self.home) {
            self.core.outwait(me, self.home)?;
            done = self.lead_to(me, Some(block), fresh);
        }
        if !done {
            self.core.heap.give_back(me, fresh.0);
        }
        Ok(done)
    }

    /// Whether the value that `seen` shows is the newest.
    pub(crate) fn shows_newest(&self, seen: &CellGuard<'_, T>) -> bool {
        self.core.heap.current(self.home) == Some(seen.reading.block())
    }

    /// Whether a living process that has the manager says that this is its pid.
    pub(crate) fn has_member(&self, pid: u32) -> bool {
        self.core.tenant.has_member(pid)
    }

    /// The cell that a handle names.
    pub(super) fn found(raw: &RawHandle, form: Form) -> Result<Self> {
        let (core, index) = Core::attach(raw, form)?;
        Cell::at(core, index)
    }

    #[inline(always)]
    fn lead_to(&self, me: Participant, old: Option<BlockHandle>, fresh: (Fresh, usize)) -> bool {
        self.core.heap.replace(me, self.home, old, fresh)
    }
}

impl<'a, T: Message> CellGuard<'a, T> {
    /// A guard on what is read, found by way of `word`.
    ///
    /// # Safety
    ///
    /// A writer of the same type wrote it.
    #[inline(always)]
    pub(super) unsafe fn new(reading: Reading<'a>, word: &'a AtomicU64) -> Self {
        // SAFETY: a cell led to the block, so it is written, and the hazard keeps it as it is.
        let bytes = unsafe { bytes_at(reading.bytes) };
        // SAFETY: passed on from the caller.
        let view = NonNull::from(unsafe { T::view(bytes) });
        CellGuard {
            reading,
            view,
            word,
        }
    }

    /// The block that is read, if it was found by way of `word`.
    pub(super) fn found_by(&self, word: &AtomicU64) -> Option<BlockHandle> {
        std::ptr::eq(self.word, word).then(|| self.reading.block())
    }

    /// Copies the value out as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<T> {
        T::to_owned(self)
    }
}

impl<T: Message> Deref for CellGuard<'_, T> {
    type Target = T::View;

    #[inline(always)]
    fn deref(&self) -> &T::View {
        // SAFETY: made from the value's bytes, which the hazard keeps where and as they are.
        unsafe { self.view.as_ref() }
    }
}

impl<T: Message> Encode<T> for &CellGuard<'_, T> {
    fn guess(&self) -> usize {
        self.reading.bytes.len()
    }

    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        // SAFETY: as in `deref`.
        copy_bytes(unsafe { bytes_at(self.reading.bytes) }, room)
    }
}

impl<T: Message<View: fmt::Debug>> fmt::Debug for CellGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Message> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Cell {
            core: Arc::clone(&self.core),
            index: self.index,
            home: self.home,
            word: self.word.clone(),
            value: PhantomData,
        }
    }
}

impl<T: Message> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_name = T::type_name();
        write!(
            f,
            "Cell<{type_name}>({} of {:?})",
            self.index,
            self.core.tenant.segment()
        )
    }
}

impl<T: Message> Handle for Cell<T> {
    fn to_raw(&self) -> RawHandle {
        self.core.handle(self.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Cell::found(raw, form::<T>())
    }
}

handle_message!([T: Message] Cell<T>, "Cell", [T]);

#[cold]
fn gone() -> Error {
    let text = format!("a cell of a {KIND} leads nowhere: the object is damaged");
    Error::new(ErrorKind::Corrupt, text)
}
