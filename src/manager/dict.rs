//! [`Dict`]: a dictionary in a manager, read in place without a lock.

mod guard;

pub use self::guard::DictGuard;
use super::core::{Core, changing};
use super::directory::{Form, Sort};
use super::error::StoreError;
use super::key::Key;
use super::table::{Held, Name, Spot, Table, damaged, split};
use crate::Result;
use crate::heap::Fresh;
use crate::message::{
    Encode, Handle, Message, Shape, WriteError, copy_bytes, handle_message, segment_fingerprint,
};
use crate::sys::identity::Participant;
use crate::tenancy::RawHandle;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// A dictionary in a [`Manager`](crate::Manager): keys that are [`Key`]s, values of any type that is a [`Message`].
///
/// Whoever reads has a guard that derefs to the value's [view](Message::View), as with a [`Cell`](crate::Cell): the value that
/// it shows never changes and never goes away while the guard lives. Readers take no lock and wait for nobody. Who changes an
/// entry holds the lock of its shard, one of 32, and writes a new entry beside the old one.
///
/// A `Dict` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// dictionary.
///
/// # When a process dies
///
/// Each change has happened wholly or not at all, at whatever instruction its process is killed, also while the dictionary
/// grows; the next to change the shard goes on behind it. A killed reader holds nothing back. A *stopped* process that was
/// changing an entry holds up those who change the same shard, and no reader.
///
/// # Cost
///
/// Entries of a kilobyte or so take their length, rounded up to the next size of blocks, and 32 to 60 bytes beside. Whoever can
/// choose the keys cannot choose where they lie: they are hashed with a secret.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Dict, Manager, Process};
///
/// fn count(words: Dict<String, u64>) -> multiproc::Result<()> {
///     for word in "one two one".split(' ') {
///         words.upsert(word, |count| count.map_or(0, |count| count.to_native()) + 1)?;
///     }
///     Ok(())
/// }
///
/// let manager = Manager::new()?;
/// let words = manager.dict::<String, u64>("words")?;
/// let counting = [(); 2].map(|()| Process::spawn(count, (words.clone(),)));
/// for process in counting {
///     process?.join()?;
/// }
/// assert_eq!(words.get("one")?.as_deref().map(|count| count.to_native()), Some(4));
/// assert_eq!((words.len()?, words.contains_key("three")?), (2, false));
/// # Ok(())
/// # }
/// ```
pub struct Dict<K: Key, V: Message> {
    pub(super) table: Arc<Table>,
    types: PhantomData<fn() -> (K, V)>,
}

pub(super) fn form<K: Key, V: Message>() -> Form {
    let shape = Shape::new("dict").with(K::FINGERPRINT);
    Form {
        sort: Sort::Dict,
        fingerprint: shape.with(segment_fingerprint::<V>()).finish(),
    }
}

impl<K: Key, V: Message> Dict<K, V> {
    /// The dictionary in that row of the directory.
    pub(super) fn at(core: Arc<Core>, index: u32) -> Result<Self> {
        Ok(Dict {
            table: Arc::new(Table::at(core, index)?),
            types: PhantomData,
        })
    }

    /// The value of a key, in place.
    ///
    /// # Errors
    ///
    /// As [`Cell::get`](crate::Cell::get).
    #[inline]
    pub fn get(&self, key: &K::Borrowed) -> Result<Option<DictGuard<'_, V>>> {
        let found = K::lend(key, |bytes| self.table.find(self.table.name(bytes)))?;
        let guard = |entry| DictGuard::of(&self.table, entry, |entry| Some(view::<V>(entry)));
        Ok(found.and_then(guard))
    }

    /// A copy of the value of a key, as an ordinary one; handles in it are attached.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Dict::get), and when a handle cannot be attached because its object is gone.
    pub fn get_owned(&self, key: &K::Borrowed) -> Result<Option<V>> {
        self.get(key)?.map(|value| V::to_owned(&value)).transpose()
    }

    /// Whether the key has a value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Dict::get).
    pub fn contains_key(&self, key: &K::Borrowed) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// Gives a key a value, in place of the one that it has; says whether it had none.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSpace`] when the manager's limit is reached, and [`StoreError::Unwritable`]; everything stays as it is
    /// then. [`StoreError::Deadlock`] within a function that was given to [`update`](Dict::update).
    #[inline]
    pub fn insert(&self, key: &K::Borrowed, value: impl Encode<V>) -> Result<bool, StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let me = self.table.core.me().map_err(StoreError::refused)?;
            let fresh = self.write(me, bytes, &value)?; // before the lock, so that others wait less
            let held = self.hold(name, fresh)?;
            let spot = held.spot(name);
            held.put(name, spot, fresh)?;
            Ok(matches!(spot, Spot::Vacant(_)))
        })
    }

    /// Gives a key a value if it has none; says whether it had none.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Dict::insert).
    pub fn insert_new(&self, key: &K::Borrowed, value: impl Encode<V>) -> Result<bool, StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let held = self.table.hold(name)?;
            match held.spot(name) {
                Spot::Taken(..) => Ok(false),
                spot => {
                    held.put(name, spot, self.write(held.me, bytes, &value)?)?;
                    Ok(true)
                }
            }
        })
    }

    /// Takes a key and its value away; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`], and [`StoreError::Deadlock`] as [`insert`](Dict::insert).
    pub fn remove(&self, key: &K::Borrowed) -> Result<bool, StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let held = self.table.hold(name)?;
            let Spot::Taken(home, entry) = held.spot(name) else {
                return Ok(false);
            };
            held.vacate(home, entry);
            Ok(true)
        })
    }

    /// Replaces the value of a key by what `change` makes of it; says whether the key is there.
    ///
    /// `change` is called once, while nobody else changes the shard. Do not use this or another dictionary within it.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Dict::insert).
    ///
    /// # Panics
    ///
    /// When `change` does; nothing is changed then.
    pub fn update<E: Encode<V>>(
        &self,
        key: &K::Borrowed,
        change: impl FnOnce(&V::View) -> E,
    ) -> Result<bool, StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let held = self.table.hold(name)?;
            let spot = held.spot(name);
            let Spot::Taken(_, entry) = spot else {
                return Ok(false);
            };
            let value = changing(|| change(view::<V>(held.entry(entry))));
            held.put(name, spot, self.write(held.me, bytes, &value)?)?;
            Ok(true)
        })
    }

    /// Gives a key the value that `make` makes of the one that it has, or of none.
    ///
    /// As [`update`](Dict::update) otherwise.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Dict::insert).
    ///
    /// # Panics
    ///
    /// When `make` does; nothing is changed then.
    pub fn upsert<E: Encode<V>>(
        &self,
        key: &K::Borrowed,
        make: impl FnOnce(Option<&V::View>) -> E,
    ) -> Result<(), StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let held = self.table.hold(name)?;
            let spot = held.spot(name);
            let value = match spot {
                Spot::Taken(_, entry) => changing(|| make(Some(view::<V>(held.entry(entry))))),
                Spot::Vacant(_) => changing(|| make(None)),
            };
            held.put(name, spot, self.write(held.me, bytes, &value)?)
        })
    }

    /// Replaces a value if the one that `seen` shows is still there; says whether it was.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Dict::insert).
    pub fn replace_if(
        &self,
        key: &K::Borrowed,
        seen: &DictGuard<'_, V>,
        value: impl Encode<V>,
    ) -> Result<bool, StoreError> {
        K::lend(key, |bytes| {
            let name = self.table.name(bytes);
            let held = self.table.hold(name)?;
            let spot = held.spot(name);
            match spot {
                Spot::Taken(_, entry) if seen.found_in(&self.table) == Some(entry) => {
                    held.put(name, spot, self.write(held.me, bytes, &value)?)?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })
    }

    /// Makes room for so many entries more, as far as that can be known: for millions of them it saves half of the time, and
    /// the memory of the tables that are too small on the way.
    ///
    /// # Errors
    ///
    /// Those of [`insert`](Dict::insert).
    pub fn reserve(&self, entries: usize) -> Result<(), StoreError> {
        let held = self.table.hold_all()?;
        // Not all shards get the same number: some more for each.
        let each = (entries / held.len()).next_multiple_of(8) as u64;
        held.iter()
            .try_for_each(|held| held.reserve(each + each / 16))
    }

    /// How many entries there are. Looks at each shard in turn, with its lock.
    ///
    /// # Errors
    ///
    /// As [`remove`](Dict::remove).
    pub fn len(&self) -> Result<usize, StoreError> {
        let held = self.table.hold_all()?;
        Ok(held.iter().map(Held::len).sum::<u64>() as usize)
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    ///
    /// As [`remove`](Dict::remove).
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Takes all entries away; nobody sees some of them gone and inserts others in between.
    ///
    /// # Errors
    ///
    /// As [`remove`](Dict::remove).
    pub fn clear(&self) -> Result<(), StoreError> {
        for held in self.table.hold_all()? {
            let all: Vec<_> = held.entries().collect();
            all.iter()
                .for_each(|&(home, entry)| held.vacate(home, entry));
        }
        Ok(())
    }

    /// All keys and values, as they are at one instant, as ordinary values; in no order.
    ///
    /// Those who change entries wait meanwhile.
    ///
    /// # Errors
    ///
    /// As [`remove`](Dict::remove), and when a handle in a value cannot be attached because its object is gone.
    pub fn snapshot(&self) -> Result<Vec<(K, V)>> {
        let mut all = Vec::new();
        for held in &self.table.hold_all()? {
            for (_, entry) in held.entries() {
                let bytes = held.entry(entry);
                let key = K::from_bytes(split(bytes).1).ok_or_else(damaged)?;
                all.push((key, V::to_owned(view::<V>(bytes))?));
            }
        }
        Ok(all)
    }

    /// Takes the lock of a key's shard, or gives the block back in which its new entry is.
    #[inline(always)]
    fn hold(&self, name: Name<'_>, fresh: (Fresh, usize)) -> Result<Held<'_>, StoreError> {
        // Not by a closure: through a result that is handed on, the parts of what is held go by way of memory.
        match self.table.hold(name) {
            Ok(held) => Ok(held),
            Err(refused) => Err(self.give_back(fresh, refused)),
        }
    }

    #[cold]
    fn give_back(&self, fresh: (Fresh, usize), refused: StoreError) -> StoreError {
        if let Ok(me) = self.table.core.me() {
            self.table.core.heap.give_back(me, fresh.0);
        }
        refused
    }

    /// Writes an entry into a block of its own: the value, the key, and the key's length.
    #[inline]
    pub(super) fn write(
        &self,
        me: Participant,
        key: &[u8],
        value: &impl Encode<V>,
    ) -> Result<(Fresh, usize), StoreError> {
        const { assert!(V::ALIGN <= 16, "a manager aligns values to 16 bytes") };
        let behind = key.len() + 4;
        let guess = V::FIXED.unwrap_or_else(|| value.guess()) + behind;
        self.table.core.write_with(me, guess, |room| {
            let for_value = room.len().checked_sub(behind);
            let for_value = for_value.ok_or(WriteError::Overflow(guess.max(behind)))?;
            let len = match value.encode(&mut room[..for_value]) {
                Err(WriteError::Overflow(needed)) => {
                    return Err(WriteError::Overflow(needed + behind));
                }
                done => done?,
            };
            append(room, len, key)
        })
    }
}

/// Writes a key and its length behind a value of `len` bytes.
#[inline]
fn append(room: &mut [MaybeUninit<u8>], len: usize, key: &[u8]) -> Result<usize, WriteError> {
    let end = len + copy_bytes(key, &mut room[len..])?;
    let length = (key.len() as u32).to_le_bytes();
    Ok(end + copy_bytes(&length, &mut room[end..])?)
}

/// The value of an entry.
#[inline(always)]
pub(super) fn view<V: Message>(entry: &[u8]) -> &V::View {
    // SAFETY: a writer of the same type wrote it: the type's fingerprint was compared when the dictionary was opened.
    unsafe { V::view(split(entry).0) }
}

impl<K: Key, V: Message> Clone for Dict<K, V> {
    fn clone(&self) -> Self {
        Dict {
            table: Arc::clone(&self.table),
            types: PhantomData,
        }
    }
}

impl<K: Key, V: Message> fmt::Debug for Dict<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value, index) = (K::NAME, V::type_name(), self.table.index);
        let segment = self.table.core.tenant.segment();
        write!(f, "Dict<{key}, {value}>({index} of {segment:?})")
    }
}

impl<K: Key, V: Message> Handle for Dict<K, V> {
    fn to_raw(&self) -> RawHandle {
        self.table.core.handle(self.table.index)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let (core, index) = Core::attach(raw, form::<K, V>())?;
        Dict::at(core, index)
    }
}

handle_message!([K: Key, V: Message] Dict<K, V>, "Dict", [K, V]);
