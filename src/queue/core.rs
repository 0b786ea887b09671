//! What all handles of one queue in one process share: the ring, and this process's seat at it.

use std::fmt;
use std::mem::{MaybeUninit, forget};
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use super::error::PutFault;
use crate::Result;
use crate::message::room_at;
use crate::ring::{Claim, ClaimError, Fit, Geometry, Peers, Ring, Role, Words};
use crate::segment::Segment;
use crate::segment::blocks::{BlockRef, Blocks};
use crate::sys::atfork::{self, ForkMutex};
use crate::sys::clock::Deadline;
use crate::sys::identity::Participant;
use crate::sys::membarrier;
use crate::tenancy::Tenant;

/// One queue as this process sees it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) ring: Ring,
    pub(super) tenant: Arc<Tenant>,
}

/// The queues of this process by segment: however often one is attached, it is mapped once.
static CORES: ForkMutex<Vec<(u64, Weak<Core>)>> = ForkMutex::new(Vec::new(), Vec::new);

impl Core {
    /// The one core of a tenant's segment.
    pub(super) fn of(tenant: Arc<Tenant>) -> Result<Arc<Self>> {
        membarrier::register();
        let id = tenant.segment().id();
        let mut cores = CORES.lock();
        cores.retain(|(_, core)| core.strong_count() > 0);
        let known = cores.iter().find(|(known, _)| *known == id);
        if let Some(core) = known.and_then(|(_, core)| core.upgrade()) {
            return Ok(core);
        }
        let core = Arc::new(Core {
            ring: ring_of(tenant.segment())?,
            tenant,
        });
        cores.push((id, Arc::downgrade(&core)));
        Ok(core)
    }

    /// Waits until every message is acknowledged; false when the deadline came first.
    pub(super) fn all_done(&self, deadline: Deadline) -> bool {
        self.ring.wait_all_done(self.me(), &*self.tenant, deadline)
    }

    #[inline(always)]
    pub(super) fn me(&self) -> Participant {
        self.tenant.me()
    }

    /// Claims a slot where that takes one exchange.
    #[inline(always)]
    pub(super) fn claim_here(&self, words: Words<'_>) -> Option<Hold<'_>> {
        let claim = self.ring.claim_here(self.me(), words)?;
        Some(Hold::new(self, claim))
    }

    /// Claims a slot.
    pub(super) fn claim(&self, deadline: Deadline) -> Result<Hold<'_>, ClaimError> {
        if let Some(hold) = self.claim_here(self.words(Fit::Any)) {
            return Ok(hold);
        }
        let claim = self.ring.claim(self.me(), &*self.tenant, deadline)?;
        Ok(Hold::new(self, claim))
    }

    /// The words of the ring in registers; see [`Ring::words_of`].
    #[inline(always)]
    pub(super) fn words(&self, fit: Fit) -> Words<'_> {
        self.ring.words_of(fit)
    }

    /// Bytes that fit a slot.
    #[inline(always)]
    pub(super) fn inline(&self) -> usize {
        self.ring.geometry().inline()
    }

    /// Memory beside the ring for a long message.
    pub(super) fn spill(&self, len: usize) -> Result<Spill<'_>, PutFault> {
        let blocks = self.ring.blocks().ok_or(PutFault::NoSpace)?;
        let block = match blocks.alloc(self.me(), len as u64) {
            Ok(block) => block,
            Err(_) => self.alloc_behind_the_dead(blocks, len)?,
        };
        match blocks.room(block, len as u64) {
            Ok(bytes) => Ok(Spill {
                core: self,
                block,
                bytes,
            }),
            Err(_) => {
                blocks.free(self.me(), block);
                Err(PutFault::NoSpace)
            }
        }
    }

    /// The dead may hold memory that nobody has missed yet.
    #[cold]
    fn alloc_behind_the_dead(&self, blocks: &Blocks, len: usize) -> Result<BlockRef, PutFault> {
        self.tenant.sweep();
        let block = blocks.alloc(self.me(), len as u64);
        block.map_err(|_| PutFault::NoSpace)
    }
}

/// A claimed slot: committed, or given back when dropped.
#[derive(Debug)]
pub(super) struct Hold<'q> {
    core: &'q Core,
    claim: Claim,
    /// In the user's hands, the count of forks under which it was claimed: a forked child has a copy, and the slot is its
    /// parent's.
    forks: Option<u32>,
}

impl<'q> Hold<'q> {
    /// One that ends before the call that makes it does.
    #[inline(always)]
    fn new(core: &'q Core, claim: Claim) -> Self {
        Hold {
            core,
            claim,
            forks: None,
        }
    }

    pub(super) fn words(&self) -> Words<'q> {
        self.core.words(Fit::Any)
    }

    #[inline(always)]
    pub(super) fn bytes(&self, words: Words<'_>, fit: Fit) -> NonNull<[u8]> {
        self.core.ring.room(&self.claim, words, fit)
    }

    #[inline(always)]
    pub(super) fn room(&mut self, words: Words<'_>, fit: Fit) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the claim gives the slot to this process alone until it is committed or aborted, and `self`, borrowed
        // mutably for as long as the room is used, is the only one to do either.
        unsafe { room_at(self.bytes(words, fit)) }
    }

    /// A hold that the user keeps: consumers may go to sleep behind it.
    pub(super) fn for_long(mut self) -> Self {
        self.claim = self.claim.held();
        self.forks = Some(atfork::forks());
        self
    }

    pub(super) fn id(&self) -> u64 {
        self.claim.id()
    }

    #[inline(always)]
    pub(super) fn commit(self, words: Words<'_>, len: usize, fit: Fit) {
        let (core, claim) = (self.core, self.claim);
        forget(self);
        core.ring.commit(claim, words, len, fit);
    }

    pub(super) fn commit_spilled(self, spill: Spill<'_>, len: usize) {
        let (core, claim, block) = (self.core, self.claim, spill.block);
        forget(self);
        forget(spill);
        core.ring.commit_block(claim, block, len);
    }
}

impl Drop for Hold<'_> {
    #[cold]
    fn drop(&mut self) {
        if self.forks.is_none_or(|forks| forks == atfork::forks()) {
            self.core.ring.abort(self.claim);
        }
    }
}

/// A block for one long message: handed over with it, or freed when dropped.
#[derive(Debug)]
pub(super) struct Spill<'q> {
    core: &'q Core,
    block: BlockRef,
    bytes: NonNull<[u8]>,
}

impl Spill<'_> {
    pub(super) fn bytes(&self) -> NonNull<[u8]> {
        self.bytes
    }

    pub(super) fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the block belongs to this process alone until it is committed or freed, and `self`, borrowed mutably
        // for as long as the room is used, is the only one to do either.
        unsafe { room_at(self.bytes()) }
    }
}

impl Drop for Spill<'_> {
    fn drop(&mut self) {
        if let Some(blocks) = self.core.ring.blocks() {
            blocks.free(self.core.me(), self.block);
        }
    }
}

/// The ring in a segment, with the geometry that its header states.
pub(super) fn ring_of(segment: &Arc<Segment>) -> Result<Ring> {
    let geometry = Geometry::from_params(segment.params())?;
    Ok(Ring::attach(segment, geometry))
}

impl Peers for Tenant {
    fn any_with(&self, role: Role) -> bool {
        self.any_live_with(role as usize)
    }

    fn bury(&self, who: Participant, repair: &dyn Fn(Participant)) -> bool {
        Tenant::bury(self, who, repair)
    }
}

/// One role held: the process's seat says so while it holds at least one.
pub(super) struct Part {
    core: Arc<Core>,
    role: Role,
}

impl Part {
    pub(super) fn take(core: &Arc<Core>, role: Role) -> Self {
        core.tenant.take_role(role as usize);
        // After the seat says so: whoever sees that roles are in use finds this holder.
        core.ring.announce_role(role);
        Part {
            core: Arc::clone(core),
            role,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.core.tenant.drop_role(self.role as usize);
        if self.core.tenant.own_role(self.role as usize) == 0 {
            self.core.ring.stir();
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.role.fmt(f)
    }
}
