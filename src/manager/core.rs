//! A manager as one process has it.

use super::directory::{Form, Unlock};
use super::error::StoreError;
use super::manager_expect;
use crate::heap::{Fresh, Heap};
use crate::message::{Encode, Message, WriteError, room_at};
use crate::sys::atfork::ForkMutex;
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::tenancy::{ManagerMender, RawHandle, Tenant};
use crate::{ErrorKind, Result};
use std::cell::Cell;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::{Arc, Weak};

/// Which of the manager's locks is for transactions.
const TRANSACTIONS: u64 = 63;

/// What all handles of a process on one manager share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) heap: Heap,
    pub(super) tenant: Arc<Tenant>,
}

thread_local! {
    /// How many functions of users the thread is in that are called with an object's lock held.
    static CHANGES: Cell<u32> = const { Cell::new(0) };
}

/// Calls a function of a user's with an object's lock held: a transaction in it would wait for other locks, in no order.
#[inline]
pub(super) fn changing<R>(change: impl FnOnce() -> R) -> R {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            CHANGES.set(CHANGES.get() - 1);
        }
    }
    CHANGES.set(CHANGES.get() + 1);
    let _end = End;
    change()
}

/// Whether the calling thread is in such a function.
pub(super) fn is_changing() -> bool {
    CHANGES.get() > 0
}

/// By segment: one for each manager, so that its threads have one row each, and know of the same free blocks.
static CORES: ForkMutex<Option<HashMap<u64, Weak<Core>>>> = ForkMutex::new(None, || None);

impl Core {
    /// The manager in a tenant's segment.
    pub(super) fn of(tenant: Arc<Tenant>) -> Arc<Self> {
        let id = tenant.segment().id();
        let mut cores = CORES.lock();
        let cores = cores.get_or_insert_default();
        cores.retain(|_, core| core.strong_count() > 0);
        if let Some(core) = cores.get(&id).and_then(Weak::upgrade) {
            return core;
        }
        let core = Arc::new(Core {
            heap: Heap::new(tenant.segment()),
            tenant,
        });
        cores.insert(id, Arc::downgrade(&core));
        core
    }

    /// The manager of a handle on an object of that form, and the object's row.
    pub(super) fn attach(raw: &RawHandle, form: Form) -> Result<(Arc<Self>, u32)> {
        let tenant = Tenant::attach(raw, &manager_expect(), Arc::new(ManagerMender))?;
        let core = Core::of(tenant);
        let index = raw.offset.wrapping_sub(1);
        core.check(index, form)?;
        Ok((core, index))
    }

    /// A handle on the object in that row.
    pub(super) fn handle(&self, index: u32) -> RawHandle {
        self.tenant.handle(index + 1, 0)
    }

    /// Has the cell of a row that nobody else sees yet lead to its first block; none if there is no such cell.
    pub(super) fn begin(&self, me: Participant, place: u64, fresh: (Fresh, usize)) -> Option<()> {
        let home = self.heap.home_at(place)?;
        let old = self.heap.current(home); // of somebody who died here
        self.heap.replace(me, home, old, fresh).then_some(())
    }

    #[inline(always)]
    pub(super) fn me(&self) -> Result<Participant> {
        self.tenant.seat()
    }

    /// Takes a block, after cleaning up after the dead where there is none.
    #[inline]
    pub(super) fn alloc(&self, me: Participant, len: usize) -> Result<Fresh, StoreError> {
        match self.heap.alloc(me, len, || self.tenant.sweep()) {
            Ok(fresh) => Ok(fresh),
            Err(full) if full.kind() == ErrorKind::NoSpace && self.tenant.sweep() > 0 => {
                let fresh = self.heap.alloc(me, len, || 0);
                fresh.map_err(StoreError::from_heap)
            }
            Err(error) => Err(StoreError::from_heap(error)),
        }
    }

    /// Takes the lock that whoever commits a transaction holds, and settles what the last one left who died with it. Behind all
    /// other locks: who has it waits for nobody, so anybody may wait for it.
    pub(super) fn lock_transactions(&self, me: Participant) -> Result<Unlock<'_>, StoreError> {
        let lock = self.lock(TRANSACTIONS);
        let taken = lock.recover(me, &*self.tenant, Deadline::NEVER);
        taken.map_err(StoreError::from_lock)?;
        let unlock = Unlock(lock);
        self.heap.settle(me);
        Ok(unlock)
    }

    /// Takes one of the locks that shards share, and does what there is to do if somebody has died with it.
    pub(super) fn take(
        self: &Arc<Self>,
        me: Participant,
        index: u64,
    ) -> Result<Unlock<'_>, StoreError> {
        let lock = self.lock(index);
        let taken = lock.recover(me, &*self.tenant, Deadline::NEVER);
        let dead = taken.map_err(StoreError::from_lock)?;
        let unlock = Unlock(lock);
        if dead.is_some() {
            self.take_over(me, index)?;
        }
        Ok(unlock)
    }

    /// Waits until no transaction changes the cell at `home`.
    #[cold]
    pub(super) fn outwait(&self, me: Participant, home: u64) -> Result<(), StoreError> {
        while self.heap.is_tied(home) {
            drop(self.lock_transactions(me)?);
        }
        Ok(())
    }

    /// Settles the last transaction, for whoever has taken a lock over from the dead, before he looks at what is behind it.
    ///
    /// By way of the transactions' lock, and not of the question whether its writer lives: the kernel marks the locks of a dying
    /// process some time before it lets go of the files by which that is told. Who has that lock waits for nobody.
    #[cold]
    pub(super) fn settle_for_the_dead(&self, me: Participant) -> Result<(), StoreError> {
        self.lock_transactions(me).map(drop)
    }

    /// Writes a value into a block of its own.
    #[inline]
    pub(super) fn write<T: Message>(
        &self,
        me: Participant,
        value: &impl Encode<T>,
    ) -> Result<(Fresh, usize), StoreError> {
        const { assert!(T::ALIGN <= 16, "a manager aligns values to 16 bytes") };
        let guess = T::FIXED.unwrap_or_else(|| value.guess());
        self.write_with(me, guess, |room| value.encode(room))
    }

    /// Has `fill` write a block of its own, of `len` bytes or as many as it says that it needs.
    #[inline]
    pub(super) fn write_with(
        &self,
        me: Participant,
        mut len: usize,
        fill: impl Fn(&mut [MaybeUninit<u8>]) -> Result<usize, WriteError>,
    ) -> Result<(Fresh, usize), StoreError> {
        loop {
            let fresh = self.alloc(me, len)?;
            // SAFETY: the block is ours alone until a cell leads to it, and stays mapped.
            let room = unsafe { room_at(fresh.room) };
            match fill(room) {
                Ok(written) => return Ok((fresh, written)),
                Err(WriteError::Overflow(needed)) if needed > room.len() => len = needed,
                Err(refused) => {
                    self.heap.give_back(me, fresh);
                    return Err(StoreError::Unwritable(refused));
                }
            }
            self.heap.give_back(me, fresh);
        }
    }
}
