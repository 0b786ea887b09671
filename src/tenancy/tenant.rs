//! One process's tenancy of one segment: the mapping, the seat in its roster, and the duty to leave it clean.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::name::{Directory, Name};
use crate::segment::{Draft, Expect, Kind, Segment, Spec, Watchers};
use crate::sync::{Owner, Undertaker};
use crate::sys::atfork::{ForkMutex, Seat};
use crate::sys::bell::{Address, Bells};
use crate::sys::clock::{Deadline, now_ns};
use crate::sys::fd;
use crate::sys::identity::{self, Oracle, Participant};
use crate::sys::ofd::{self, Hold};
use crate::sys::step::step;
use crate::tenancy::annex;
use crate::tenancy::handle::{self, RawHandle};
use crate::tenancy::handover;
use crate::tenancy::locks::{self, Held};
use crate::tenancy::naming::{self, Fate};
use crate::tenancy::registry;
#[cfg(test)]
use crate::tenancy::roster::Member;
use crate::tenancy::roster::{Roster, cannot_lock};
use crate::tenancy::sweep::{self, Repair};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// [`Spec::mode`]: the named object stays when its last member has left.
pub(crate) const MODE_PERSIST: u32 = 4;

/// Roles of one object that its nouns tell apart, such as producer and consumer.
const ROLES: usize = 8;

/// How long a joiner waits for somebody who is removing the object, or has been stopped while doing so.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(100);

/// A segment that this process has open, and its seat there. One per process and segment; shared by all handles.
///
/// Dropping it leaves the roster, and removes a named object if nobody else is left.
pub(crate) struct Tenant {
    seat: Box<Seat>, // before the segment, whose descriptor it watches
    segment: Arc<Segment>,
    repair: Arc<dyn Repair>,
    /// Where the file has its name; `None` for anonymous segments.
    home: Option<(Directory, Name)>,
    inode: u64,
    /// How many handles of this process have taken each role.
    roles: ForkMutex<[u32; ROLES]>,
    /// Threads of one process share the locks of its description: only one at a time may use them.
    desk: ForkMutex<()>,
}

impl Tenant {
    /// Makes a new object, lets `init` fill in its body, and moves in; under `name` if one is given.
    ///
    /// The object is complete, and its creator alive in the eyes of others, before anybody can see it. What a crash
    /// left under the same name is replaced.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if an object of that name lives, or stays on purpose; `NoSpace`; what `init` returns.
    pub(crate) fn create(
        name: Option<&Name>,
        spec: &Spec,
        init: impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        match name {
            Some(name) => Self::create_in(&Directory::of_user()?, name, spec, init, repair),
            None => Self::settle(Draft::anonymous(spec)?, None, &init, repair),
        }
    }

    /// [`create`](Tenant::create) in a directory of the caller's choice.
    pub(crate) fn create_in(
        directory: &Directory,
        name: &Name,
        spec: &Spec,
        init: impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        match Self::make_in(directory, name, spec, &init, Arc::clone(&repair)) {
            Err(taken) if taken.kind() == ErrorKind::AlreadyExists => {
                match naming::remove_abandoned(directory, name) {
                    Ok(Fate::Removed | Fate::Absent) => {
                        Self::make_in(directory, name, spec, &init, repair)
                    }
                    _ => Err(taken),
                }
            }
            done => done,
        }
    }

    /// Makes a new object, where nothing has the name.
    fn make_in(
        directory: &Directory,
        name: &Name,
        spec: &Spec,
        init: &impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        let draft = Draft::named(directory, spec)?;
        let home = Some((directory.clone(), name.clone()));
        Self::settle(draft, home, init, repair)
    }

    fn settle(
        mut draft: Draft,
        home: Option<(Directory, Name)>,
        init: &impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        init(draft.segment())?;
        // SAFETY: the draft, and then the tenant, keep the descriptor open for longer than the seat, which on an error
        // is dropped before the draft, being declared after it.
        let seat = unsafe { Seat::new(draft.segment().fd()) };
        let inode = fd::inode(draft.segment().fd())?;
        let who = Roster::of(draft.segment()).join_first(draft.segment().fd())?;
        seat.take(Some(who));
        draft.link(home.as_ref().map(|(_, name)| name))?;
        let tenant = Self::new(seat, draft.into_segment(), inode, home, repair);
        Ok(registry::enter(tenant))
    }

    /// A tenant that has not moved in yet.
    fn visitor(
        segment: Segment,
        home: Option<(Directory, Name)>,
        repair: Arc<dyn Repair>,
    ) -> Result<Tenant> {
        let inode = fd::inode(segment.fd())?;
        // SAFETY: the tenant keeps the descriptor open for longer than the seat, which it declares first.
        let seat = unsafe { Seat::new(segment.fd()) };
        Ok(Self::new(seat, segment, inode, home, repair))
    }

    fn new(
        seat: Box<Seat>,
        segment: Segment,
        inode: u64,
        home: Option<(Directory, Name)>,
        repair: Arc<dyn Repair>,
    ) -> Tenant {
        if segment.geometry().kind == Kind::Manager {
            seat.stake(locks::GATE.start);
        }
        Tenant {
            seat,
            segment: Arc::new(segment),
            repair,
            home,
            inode,
            roles: ForkMutex::new([0; ROLES], || [0; ROLES]),
            desk: ForkMutex::new((), || ()),
        }
    }

    /// Moves into the object `name`. What a crash left there is taken over: its data stay, its dead are cleaned up.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied`, `Corrupt`, `WrongVersion`, `WrongType`; `Timeout` if a stopped process is
    /// about to remove it.
    pub(crate) fn open(name: &Name, expect: &Expect, repair: Arc<dyn Repair>) -> Result<Arc<Self>> {
        Self::open_in(&Directory::of_user()?, name, expect, repair)
    }

    /// [`open`](Tenant::open) in a directory of the caller's choice.
    pub(crate) fn open_in(
        directory: &Directory,
        name: &Name,
        expect: &Expect,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        loop {
            let segment = Segment::open(directory.open(name)?, Some(expect))?;
            if let Some(known) = registry::find(segment.id()) {
                return Ok(known);
            }
            let home = Some((directory.clone(), name.clone()));
            let tenant = Self::visitor(segment, home, Arc::clone(&repair))?;
            match tenant.move_in(true) {
                Ok(()) => return Ok(registry::enter(tenant)),
                // Removed since it was opened: look what the name means now. Each round, somebody else has made progress.
                Err(removed) if removed.kind() == ErrorKind::Gone => continue,
                Err(other) => return Err(other),
            }
        }
    }

    /// Moves into the object `name`, which is made if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Tenant::open) but `NotFound`, and those of [`create`](Tenant::create) but `AlreadyExists`.
    pub(crate) fn open_or_create(
        name: &Name,
        spec: &Spec,
        init: impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        Self::open_or_create_in(&Directory::of_user()?, name, spec, init, repair)
    }

    /// [`open_or_create`](Tenant::open_or_create) in a directory of the caller's choice.
    pub(crate) fn open_or_create_in(
        directory: &Directory,
        name: &Name,
        spec: &Spec,
        init: impl Fn(&Segment) -> Result<()>,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        loop {
            match Self::open_in(directory, name, &Expect::from(spec), Arc::clone(&repair)) {
                Err(absent) if absent.kind() == ErrorKind::NotFound => {}
                done => return done,
            }
            // Not `create_in`: what somebody has made meanwhile is taken over even if he has died since.
            match Self::make_in(directory, name, spec, &init, Arc::clone(&repair)) {
                Err(late) if late.kind() == ErrorKind::AlreadyExists => {}
                done => return done,
            }
        }
    }

    /// Moves into the object that a handle names.
    ///
    /// # Errors
    ///
    /// `Gone` if nobody holds it any more, `PermissionDenied` if its holder may not be asked, `WrongType`.
    pub(crate) fn attach(
        handle: &RawHandle,
        expect: &Expect,
        repair: Arc<dyn Repair>,
    ) -> Result<Arc<Self>> {
        if let Some(known) = registry::find(handle.segment) {
            known.segment.geometry().check(expect)?;
            return Ok(known);
        }
        let segment = handle::find(handle)?;
        segment.geometry().check(expect)?;
        let home = match segment.is_adopted() {
            true => None, // its name is not ours to remove
            false => naming::home_of(segment.fd()),
        };
        let tenant = Self::visitor(segment, home, repair)?;
        tenant.move_in(false)?;
        Ok(registry::enter(tenant))
    }

    /// Moves into a segment that was made of somebody else's memory.
    ///
    /// # Errors
    ///
    /// `NoSpace` if its roster is full.
    #[cfg(feature = "compat")]
    pub(super) fn inhabit(segment: Segment, repair: Arc<dyn Repair>) -> Result<Arc<Self>> {
        if let Some(known) = registry::find(segment.id()) {
            return Ok(known);
        }
        let tenant = Self::visitor(segment, None, repair)?;
        tenant.move_in(false)?;
        Ok(registry::enter(tenant))
    }

    /// Removes the name of an object; who has it open keeps it.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied`.
    pub(crate) fn remove(name: &Name) -> Result<()> {
        Self::remove_in(&Directory::of_user()?, name)
    }

    /// [`remove`](Tenant::remove) in a directory of the caller's choice.
    pub(crate) fn remove_in(directory: &Directory, name: &Name) -> Result<()> {
        naming::remove(directory, name)
    }

    /// Moves into a segment beside the tenant that this process may have there already.
    #[cfg(test)]
    pub(super) fn visit(
        segment: Segment,
        home: Option<(Directory, Name)>,
        repair: Arc<dyn Repair>,
    ) -> Result<Tenant> {
        let tenant = Self::visitor(segment, home, repair)?;
        tenant.move_in(false)?;
        Ok(tenant)
    }

    /// Joins the roster of a segment that others can see.
    fn move_in(&self, by_name: bool) -> Result<()> {
        let _desk = self.desk.lock();
        let deadline = Deadline::after(REMOVAL_PATIENCE);
        loop {
            if let Some(_gate) = Held::gate(self.fd()).map_err(cannot_lock)? {
                if !self.segment.header().is_live() || by_name && !naming::has_name(self.fd()) {
                    return Err(Error::new(ErrorKind::Gone, "the object was removed"));
                }
                let who = self.roster().join(self.fd(), &self.undertaker())?;
                self.seat.take(Some(who));
                return Ok(());
            }
            if deadline.expired() {
                let text = "the object is being removed by a process that does not go on";
                return Err(Error::new(ErrorKind::Timeout, text));
            }
            std::thread::yield_now();
        }
    }

    /// The slot of this process in the segment; after a fork, the child's first use takes one of its own.
    ///
    /// # Panics
    ///
    /// If a forked child finds no room: [`seat`](Tenant::seat) returns an error instead.
    #[inline]
    pub(crate) fn me(&self) -> Participant {
        match self.seat.who() {
            Some(me) => me,
            None => self
                .rejoin()
                .unwrap_or_else(|error| panic!("after fork: {error}")),
        }
    }

    /// The slot of this process in the segment, or why a forked child could not get one.
    #[inline]
    pub(crate) fn seat(&self) -> Result<Participant> {
        self.seat.who().map_or_else(|| self.rejoin(), Ok)
    }

    /// The slot of this process if it has one: a forked child has none until it needs one.
    #[inline]
    pub(crate) fn who(&self) -> Option<Participant> {
        self.seat.who()
    }

    /// Whether this process is the participant `who`; a guard that a fork copied into a child is not the child's.
    #[inline]
    pub(crate) fn is_me(&self, who: Participant) -> bool {
        self.seat.who() == Some(who)
    }

    /// In a child that was forked without exec: takes a slot of its own.
    #[cold]
    fn rejoin(&self) -> Result<Participant> {
        let _desk = self.desk.lock();
        if let Some(me) = self.seat.who() {
            return Ok(me); // another thread was faster
        }
        if !self.seat.renew() {
            let text = "the forked process could not re-open a shared object (no descriptor is free, or no /proc)";
            return Err(Error::new(ErrorKind::Os, text));
        }
        let who = self.roster().join(self.fd(), &self.undertaker())?;
        self.roster().set_roles(who, bits(&self.roles.lock()));
        self.seat.take(Some(who));
        Ok(who)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// What is done about a dead member of this object.
    fn undertaker(&self) -> impl Fn(Participant) {
        |dead| self.repair.repair(&self.segment, dead)
    }

    /// The roster of the segment.
    pub(crate) fn roster(&self) -> Roster<'_> {
        Roster::of(&self.segment)
    }

    /// The segment.
    #[inline]
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Whether the file has a name, under which others may find it.
    pub(crate) fn is_named(&self) -> bool {
        naming::has_name(self.fd())
    }

    /// Whether another process has the object too.
    pub(crate) fn has_others(&self) -> bool {
        let mut members = self.roster().occupied();
        members.any(|who| !self.is_me(who) && self.is_alive(who))
    }

    /// The process id of whoever is in a lock's word. That has 20 bits of it; the roster has all of them, unless the slot has
    /// a new owner already.
    pub(crate) fn pid_of(&self, owner: Owner) -> u32 {
        let member = |who| self.roster().member(who);
        let member = owner.participant().and_then(member);
        owner.pid(member.map(|member| member.process.pid))
    }

    /// Whether a living member has this pid, by its own account.
    pub(crate) fn has_member(&self, pid: u32) -> bool {
        let roster = self.roster();
        let members = roster.occupied().filter_map(|who| roster.member(who));
        let mut same = members.filter(|member| member.process.pid == pid);
        same.any(|member| self.is_alive(member.who))
    }

    /// The members that live, this process included.
    #[cfg(test)]
    pub(crate) fn members(&self) -> Vec<Member> {
        let roster = self.roster();
        let living = roster.occupied().filter(|&who| self.is_alive(who));
        living.filter_map(|who| roster.member(who)).collect()
    }

    /// Cleans up after every dead member now, and says how many there were.
    pub(crate) fn sweep(&self) -> usize {
        let Ok(me) = self.seat() else { return 0 };
        let _desk = self.desk.lock();
        sweep::sweep(self.roster(), self.fd(), Some(me), &self.undertaker())
    }

    /// Cleans up after `who` with `repair` if it is dead, and says whether it was.
    pub(crate) fn bury(&self, who: Participant, repair: &dyn Fn(Participant)) -> bool {
        if self.is_me(who) {
            return false; // the kernel does not tell a description of its own locks
        }
        let _desk = self.desk.lock();
        let buried = sweep::bury(self.roster(), self.fd(), who, repair);
        matches!(buried, Ok(true))
    }

    /// Sweeps if nobody in any process has done so for `period`, and says how many dead it found.
    ///
    /// For sleepers: however many there are and however often they wake, the probing costs one of them at most one
    /// hundredth of its time.
    pub(crate) fn vigil(&self, period: Duration) -> usize {
        if !sweep::vigil(self.roster(), period) {
            return 0;
        }
        let start = now_ns();
        let buried = self.sweep();
        sweep::postpone(self.roster(), now_ns() - start);
        buried
    }

    /// Holds some units of the segment's arena for this process; `false` while somebody frees them.
    ///
    /// Held once, whatever the number of calls; kept by a forked child.
    pub(super) fn lock_block(&self, units: (u32, u32)) -> bool {
        step("tenancy.block.lock");
        let done = ofd::try_lock(self.fd(), Hold::Shared, locks::blocks(units));
        let locked = matches!(done, Ok(true));
        if locked {
            self.seat.hold(locks::BLOCKS, units, true);
        }
        locked
    }

    /// Gives units back that [`lock_block`](Tenant::lock_block) has taken.
    pub(super) fn unlock_block(&self, units: (u32, u32)) {
        self.seat.hold(locks::BLOCKS, units, false);
        step("tenancy.block.unlock");
        if !self.seat.is_shared_with_parent() {
            let _ = ofd::unlock(self.fd(), locks::blocks(units));
        }
    }

    /// Runs `free` unless another process holds one of the units.
    pub(super) fn with_block_alone<R>(
        &self,
        units: (u32, u32),
        free: impl FnOnce() -> R,
    ) -> Option<R> {
        if self.seat.is_shared_with_parent() {
            return None;
        }
        match Held::units(self.fd(), units) {
            Ok(Some(_alone)) => Some(free()),
            _ => None,
        }
    }

    /// Takes `role` (0 to 7) for one more handle of this process.
    pub(crate) fn take_role(&self, role: usize) {
        let me = self.me();
        let mut roles = self.roles.lock();
        roles[role] += 1;
        self.roster().set_roles(me, bits(&roles));
    }

    /// Gives `role` back for one handle of this process.
    pub(crate) fn drop_role(&self, role: usize) {
        let mut roles = self.roles.lock();
        roles[role] = roles[role].saturating_sub(1);
        // A child that has not joined since its fork has no slot to write to.
        if let Some(me) = self.seat.who() {
            self.roster().set_roles(me, bits(&roles));
        }
    }

    /// How many handles of this process have taken `role`.
    pub(crate) fn own_role(&self, role: usize) -> u32 {
        self.roles.lock()[role]
    }

    /// Whether any living process has taken `role`, this one included.
    pub(crate) fn any_live_with(&self, role: usize) -> bool {
        let roster = self.roster();
        let mut holders = roster
            .occupied()
            .filter(|&who| roster.roles(who) & 1 << role != 0);
        self.own_role(role) > 0 || holders.any(|who| self.is_alive(who))
    }

    /// How many living processes have taken `role`, this one included.
    #[cfg(test)]
    pub(crate) fn count_live_with(&self, role: usize) -> usize {
        let roster = self.roster();
        let holders = roster
            .occupied()
            .filter(|&who| roster.roles(who) & 1 << role != 0);
        holders.filter(|&who| self.is_alive(who)).count()
    }

    /// The handle of the object at `offset` with `generation`, both 0 for a segment with one object.
    ///
    /// Notes the object for a launch that is being prepared on this thread (see [`handover`]).
    pub(crate) fn handle(self: &Arc<Self>, offset: u32, generation: u16) -> RawHandle {
        handover::record(self);
        RawHandle {
            segment: self.segment.id(),
            inode: self.inode,
            pid: identity::current_pid(),
            fd: self.fd().as_raw_fd(),
            offset,
            kind: self.segment.geometry().kind.number(),
            generation,
        }
    }

    /// A descriptor for a child to inherit: of a description of its own, so that it carries none of our locks.
    pub(crate) fn loan(&self) -> Result<OwnedFd> {
        fd::reopen(self.fd())
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        registry::leave(self);
        if self.seat.is_shared_with_parent() {
            return; // its locks are the parent's
        }
        let me = self.seat.who();
        if me.is_some_and(|me| self.repair.is_pinned(&self.segment, me)) {
            std::mem::forget(Arc::clone(&self.segment));
        }
        // While its own byte is locked the last one out needs one attempt only. What it leaves, nobody will miss.
        if self.remove_if_last() == Removal::Done {
            return; // with everything unlocked
        }
        if let Some(me) = me {
            self.repair.leave(&self.segment, me);
            Watchers::of(&self.segment).forget(me);
            self.roster().vacate(me);
            let _ = identity::unlock_own(self.fd(), me);
        }
        self.remove_after_others();
    }
}

impl Tenant {
    /// Of several that leave at once each may have been in the others' way: the last to unlock gets through now.
    fn remove_after_others(&self) {
        for _ in 0..REMOVAL_TRIES {
            let others_live = || self.roster().occupied().any(|who| self.is_alive(who));
            if self.remove_if_last() != Removal::Occupied || others_live() {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Removes a named object if nobody else is there, and what stands beside a manager.
    fn remove_if_last(&self) -> Removal {
        if !self.ends_with_last() {
            return Removal::NotOurs;
        }
        match Held::everything(self.fd()) {
            Ok(Some(_alone)) => {
                match &self.home {
                    Some((directory, name)) => naming::bury(&self.segment, directory, name),
                    None => Directory::of_user()
                        .iter()
                        .for_each(|directory| naming::end(&self.segment, directory)),
                }
                Removal::Done
            }
            Ok(None) => Removal::Occupied,
            Err(_) => Removal::NotOurs,
        }
    }

    /// Whether there is anything to remove when the last one leaves. Without a name that is what stands beside a manager.
    fn ends_with_last(&self) -> bool {
        let persists = self.segment.geometry().mode & MODE_PERSIST != 0;
        match &self.home {
            Some((_, name)) if annex::is_annex(name) => false,
            Some(_) if !persists => true,
            Some(_) if self.is_named() => false,
            _ => annex::has_any(&self.segment),
        }
    }

    /// What the annex is called that a manager in this segment has for that row of its directory.
    pub(crate) fn annex(&self, row: u32) -> Result<String> {
        Ok(annex::Owner::of(&self.segment)?.annex(row))
    }

    /// Whether a manager in this segment has any annex.
    pub(crate) fn has_annexes(&self) -> bool {
        annex::has_any(&self.segment)
    }
}

/// What became of an attempt to remove the object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    Done,
    /// Somebody lives there, joins, or cleans up.
    Occupied,
    /// The object has no name, or keeps it.
    NotOurs,
}

/// More are of no use: who is in the way this long has been stopped, and the object is left to `gc`.
const REMOVAL_TRIES: usize = 100;

impl Bells for Tenant {
    fn ring(&self, word: Address) {
        self.segment.ring(word);
    }
}

impl Oracle for Tenant {
    fn is_alive(&self, who: Participant) -> bool {
        self.is_me(who) || identity::is_alive(self.fd(), who)
    }

    fn is_elsewhere(&self) -> bool {
        self.segment.geometry().pid_namespace != identity::pid_namespace()
    }

    fn population(&self) -> u32 {
        self.roster().population()
    }

    fn look_out(&self) {
        self.vigil(LOOK_OUT);
    }
}

impl Undertaker for Tenant {
    fn bury(&self, who: Participant) -> bool {
        Tenant::bury(self, who, &self.undertaker())
    }
}

/// How often, at most, all sleepers of an object together look through its members for the dead.
const LOOK_OUT: Duration = Duration::from_millis(20);

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("segment", &self.segment)
            .field("seat", &self.seat)
            .finish_non_exhaustive()
    }
}

fn bits(roles: &[u32; ROLES]) -> u32 {
    let taken = roles.iter().enumerate().filter(|&(_, &count)| count > 0);
    taken.map(|(role, _)| 1 << role).sum()
}
