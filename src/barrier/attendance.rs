//! One process at one barrier: whether it is a party, for as long as it has a handle.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::segment::Place;
use crate::sync::{Identity, Parties, RawBarrier, barrier_rows};
use crate::sys::atfork::ForkMutex;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::identity::Participant;
use crate::sys::robust::{PID_BITS, ThreadList};
use crate::tenancy::{Small, Tenant};
use crate::{Error, ErrorKind, Result};

/// What all handles of one process on one barrier share. Dropping it says that the party has left.
#[derive(Debug)]
pub(super) struct Attendance {
    raw: Place<RawBarrier>,
    home: Small,
    /// How many make a round.
    parties: u32,
    /// As whom this process is noted to wait: see [`Noted`].
    noted: AtomicU64,
}

/// By segment and place.
type Known = HashMap<(u64, u64), Weak<Attendance>>;

static KNOWN: ForkMutex<Option<Known>> = ForkMutex::new(None, || None);

impl Attendance {
    /// The attendance of this process at the barrier in `home`; as a party from now on if `is_party` and the process did
    /// not attend before.
    pub(super) fn of(home: Small, parties: u32, is_party: bool) -> Result<Arc<Self>> {
        let mut known = KNOWN.lock();
        let list = known.get_or_insert_default();
        if let Some(found) = list.get(&key(&home)).and_then(Weak::upgrade) {
            return Ok(found);
        }
        let attendance = Arc::new(Attendance {
            raw: Place::new(home.tenant().segment(), home.place()),
            home,
            parties,
            noted: AtomicU64::new(0),
        });
        if is_party && let Err(full) = attendance.enter() {
            drop(known); // before the attendance, which takes it
            return Err(full);
        }
        list.insert(key(&attendance.home), Arc::downgrade(&attendance));
        Ok(attendance)
    }

    fn tenant(&self) -> &Tenant {
        self.home.tenant()
    }

    pub(super) fn home(&self) -> &Small {
        &self.home
    }

    fn enter(&self) -> Result<Identity> {
        let who = self.tenant().seat()?;
        let pid = std::process::id();
        let me = Identity { who, pid };
        if self.with_parties(|parties| parties.enter(me)) {
            return Ok(me);
        }
        let text = "more processes use the barrier than it can watch: twice its parties, and 15";
        Err(Error::new(ErrorKind::NoSpace, text))
    }

    /// Sees to it that this process is noted as a party that waits; `None` if there is no room for it.
    #[inline]
    pub(super) fn take_part(self: &Arc<Self>) -> Option<Identity> {
        let noted = Noted(self.noted.load(Relaxed)); // memory of this process; every thread stores the same
        match noted.identity() {
            Some(me) if noted.is_here(self.tenant()) => Some(me),
            _ => self.take_part_first(),
        }
    }

    #[cold]
    fn take_part_first(self: &Arc<Self>) -> Option<Identity> {
        ThreadList::arrived(); // this thread knows its process from now on
        let mut known = KNOWN.lock();
        let me = self.enter().ok()?;
        self.with_parties(|parties| parties.takes_part(me));
        // In the child of a fork the list is a new one.
        let list = known.get_or_insert_default();
        list.insert(key(&self.home), Arc::downgrade(self));
        self.noted.store(Noted::of(me).0, Relaxed); // no step: memory of this process
        Some(me)
    }

    /// The parties, as this process sees them.
    #[inline]
    pub(super) fn with_parties<R>(&self, body: impl FnOnce(&Parties<'_>) -> R) -> R {
        let (tenant, place) = (self.tenant(), self.home.place());
        body(&Parties {
            barrier: self.raw.get(),
            rows: barrier_rows(tenant.segment(), place, self.parties),
            wanted: self.parties,
            oracle: tenant,
        })
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        // Under the lock, so that attaching again at the same time is either noticed or comes later.
        let mut known = KNOWN.lock();
        let known = known.get_or_insert_default();
        let key = key(&self.home);
        let is_mine = |it: &Weak<Attendance>| std::ptr::eq(it.as_ptr(), self);
        if !known.get(&key).is_some_and(is_mine) {
            return; // of the parent of this process, or somebody has attached again
        }
        known.remove(&key);
        if let Some(who) = self.tenant().who() {
            let pid = std::process::id();
            self.with_parties(|parties| parties.leave(Identity { who, pid }));
        }
    }
}

/// A party that is noted to wait: `{slot:32 | pid:32}`, 0 for none.
///
/// A child of a fork finds its parent's, and tells by the pid.
#[derive(Clone, Copy)]
struct Noted(u64);

impl Noted {
    fn of(me: Identity) -> Self {
        Noted(u64::from(me.who.get()) << 32 | u64::from(me.pid))
    }

    #[inline]
    fn identity(self) -> Option<Identity> {
        let who = Participant::new((self.0 >> 32) as u16)?;
        let pid = self.0 as u32;
        Some(Identity { who, pid })
    }

    /// Whether this is the calling process, as far as the calling thread knows itself.
    #[inline]
    fn is_here(self, tenant: &Tenant) -> bool {
        let pid = (ThreadList::here().claim() >> 32) as u32;
        let slot = tenant.who().map_or(0, Participant::get);
        pid == self.0 as u32 & PID_BITS && u64::from(slot) == self.0 >> 32
    }
}

fn key(home: &Small) -> (u64, u64) {
    (home.tenant().segment().id(), home.place())
}
