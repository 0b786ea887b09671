//! [`Barrier`]: a place where processes wait for each other.

mod attendance;
mod error;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Handle, handle_message};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Kind, Place, Segment};
use crate::sync::{Call, MOST_PARTIES, RawBarrier, Watch, barrier_len};
use crate::sys::clock::Deadline;
use crate::tenancy::{
    Form, Maker, Opener, PARTIES_IN_STRUCT, Plan, RawHandle, SharedField, Small, Tenant,
};
use crate::{Error, ErrorKind, Result, Until};
use attendance::Attendance;
pub use error::{BarrierError, BrokenBy};

/// A place where a fixed number of parties wait for each other: nobody passes before all have come.
///
/// Each [`wait`](Barrier::wait) is one arrival. When as many have arrived as the barrier has *parties* they all go on,
/// and the next round begins. What any of them did before it arrived is seen by all of them afterwards. Parties may be
/// processes, threads of one process, or both.
///
/// A `Barrier` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same barrier.
///
/// # A broken barrier
///
/// A barrier is all or nothing. When one party will not come, none of the others can go on, and each of them is told so:
/// the barrier is *broken*, everybody who waits returns with a [`BarrierError`], and so does everybody who comes, until
/// somebody calls [`reset`](Barrier::reset). It breaks
///
/// * when a party dies or leaves (see below),
/// * when the time of a [`wait_timeout`](Barrier::wait_timeout) is over, or what another wait was bounded by,
/// * when somebody calls [`abort`](Barrier::abort), or `reset` while others wait,
/// * when the [action](Barrier::with_action) panics.
///
/// A round for which all have arrived is never broken afterwards: who was slow to wake up passes.
///
/// # When a process dies
///
/// A party is a process that came by the barrier in a message, as an argument or by its name, or has waited at it once.
/// The process that made it with [`new`](Barrier::new) or [`create`](Barrier::create) is one from its first `wait` on, so
/// a parent that only starts the workers may do what it likes.
///
/// When a party dies, asleep at the barrier or on its way to it, those who wait get [`BarrierError::PeerDied`] with its
/// process id, within 100 ms as long as no more than 25 processes use the barrier and in proportion later with more. Those
/// who come later get it too, the last to arrive included, until a `reset`. (One that is killed within the first
/// microseconds of its wait, before it went to sleep, has arrived. So has, with more than 16 parties, one that died less
/// than 0.5 ms for each of them before the last came.) A party that drops its last handle has left. That is
/// [`BarrierError::PeerLeft`] for those who then wait, if too few remain: fewer than make a round have waited before, or,
/// if that party never did, fewer than make a round have a handle.
///
/// A newcomer takes the place of a party that is gone if as many have come as make a round: a supervisor that starts a new
/// worker for one that died in time breaks nothing. `reset` forgets those who are gone; what it does not do is lower the
/// number of parties.
///
/// # Waiting and cost
///
/// An arrival is one exchange. Who has to wait spins for some microseconds and then sleeps in the kernel; the last to
/// arrive wakes all sleepers with one system call. The verbs that wait come in four forms: [`wait`](Barrier::wait),
/// [`try_wait`](Barrier::try_wait), [`wait_timeout`](Barrier::wait_timeout), [`wait_deadline`](Barrier::wait_deadline); and
/// [`wait_until`](Barrier::wait_until) also ends with another process.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Barrier, Process, Value};
///
/// fn count(here: Barrier, sum: Value<u64>) -> multiproc::Result<()> {
///     sum.fetch_add(1);
///     here.wait()?;
///     assert_eq!(sum.load(), 3); // all have counted
///     Ok(())
/// }
///
/// let (barrier, sum) = (Barrier::new(3)?, Value::new(0)?);
/// let workers = [(); 3].map(|()| Process::spawn(count, (barrier.clone(), sum.clone())));
/// for worker in workers {
///     worker?.join()?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// A party that dies instead of coming:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Barrier, BarrierError, Process};
///
/// fn crash(_: Barrier) {
///     std::process::abort();
/// }
///
/// let barrier = Barrier::new(2)?;
/// let worker = Process::spawn(crash, (barrier.clone(),))?;
/// let pid = worker.pid() as u32;
/// assert_eq!(barrier.wait(), Err(BarrierError::PeerDied { pid }));
/// # assert!(worker.join().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Barrier {
    raw: Place<RawBarrier>,
    /// A copy of our own: nothing that a peer writes leads beyond the rows.
    parties: u32,
    attendance: Arc<Attendance>,
    action: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Barrier {
    /// A new barrier without a name, for `parties` from 1 to 4,000.
    ///
    /// It takes 224 bytes and 16 for each party, rounded up to a power of two, in an arena that all unnamed barriers of
    /// the process share; more than 4 KiB take a file descriptor of their own.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a number of parties that is out of range,
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it.
    pub fn new(parties: u32) -> Result<Self> {
        let small = Small::anonymous(&form(parties)?, prepare(parties))?;
        Self::on(small, false)
    }

    /// A new barrier called `name`, which other programs of the same user can [`open`](Barrier::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Barrier::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), [`InvalidInput`](ErrorKind::InvalidInput) for a name that cannot be
    /// one or a number of parties that is out of range, [`NoSpace`](ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Barrier;
    ///
    /// let name = format!("start-{}", std::process::id());
    /// let start = Barrier::create(&name, 2)?;
    /// let same = Barrier::open(&name)?;
    /// assert_eq!(same.parties(), 2);
    /// let other = std::thread::spawn(move || same.wait().unwrap().index());
    /// let index = start.wait()?.index();
    /// assert_eq!(index + other.join().unwrap(), 1);
    /// Barrier::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str, parties: u32) -> Result<Self> {
        let small = Small::create(name, &form(parties)?, prepare(parties))?;
        Self::on(small, false)
    }

    /// The barrier called `name`, at which this process is a party from now on. See [`create`](Barrier::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`WrongType`](ErrorKind::WrongType),
    /// [`PermissionDenied`](ErrorKind::PermissionDenied); [`NoSpace`](ErrorKind::NoSpace) if more than twice as many
    /// processes as parties, and 15, have it open.
    pub fn open(name: &str) -> Result<Self> {
        Self::on(Small::open(name, &form(1)?)?, true)
    }

    /// The barrier called `name`, at which this process is a party from now on; if there is none, a new one for `parties`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Barrier::open) but `NotFound`, and those of [`create`](Barrier::create) but `AlreadyExists`.
    /// `WrongType` also if there is one for another number of parties.
    pub fn open_or_create(name: &str, parties: u32) -> Result<Self> {
        let small = Small::open_or_create(name, &form(parties)?, prepare(parties))?;
        let barrier = Self::on(small, true)?;
        if barrier.parties == parties {
            return Ok(barrier);
        }
        let text = format!("the barrier is for {} parties", barrier.parties);
        Err(Error::new(ErrorKind::WrongType, text))
    }

    /// Removes the name. Those who have the barrier open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small, is_party: bool) -> Result<Self> {
        let segment = home.tenant().segment();
        let raw = segment.get(Offset::<RawBarrier>::new(home.place()));
        let parties = raw.map_or(0, RawBarrier::parties);
        if !(1..=MOST_PARTIES).contains(&parties) || home.len() < barrier_len(parties) {
            let text = "the shared object is not a whole barrier";
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(Barrier {
            raw: Place::new(segment, home.place()),
            parties,
            attendance: Attendance::of(home, parties, is_party)?,
            action: None,
        })
    }

    /// This handle, with an action that is run in each round, after all have arrived and before anybody goes on.
    ///
    /// The last to arrive runs the action of the handle it waits with. So that it is run whoever comes last, give every
    /// party's handle one; clones keep it, and handles that are sent do not. It must not wait at the same barrier.
    ///
    /// If it panics the barrier is broken ([`BrokenBy::Panic`]), and the panic goes on in the party that ran it. If its
    /// process dies in it, that is a party's death.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Barrier, Value};
    ///
    /// let rounds = Value::new(0)?;
    /// let counter = rounds.clone();
    /// let barrier = Barrier::new(2)?.with_action(move || {
    ///     counter.fetch_add(1);
    /// });
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| (0..10).for_each(|_| drop(barrier.wait())));
    ///     }
    /// });
    /// assert_eq!(rounds.load(), 10);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_action(self, action: impl Fn() + Send + Sync + 'static) -> Self {
        Barrier {
            action: Some(Arc::new(action)),
            ..self
        }
    }

    /// How many make a round.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.parties
    }

    /// How many have arrived and wait for the others; 0 while the barrier is broken.
    #[must_use]
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> u32 {
        self.raw.get().waiting(self.parties)
    }

    /// Whether the barrier is broken and waits for a [`reset`](Barrier::reset).
    #[must_use]
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> bool {
        self.raw.get().is_broken()
    }

    /// Arrives, and waits until all parties have.
    ///
    /// # Errors
    ///
    /// [`BarrierError::PeerDied`], [`BarrierError::PeerLeft`] and [`BarrierError::Broken`]: the barrier is broken, or is
    /// so now.
    ///
    /// # Panics
    ///
    /// When the [action](Barrier::with_action) does.
    #[inline]
    pub fn wait(&self) -> std::result::Result<BarrierTurn, BarrierError> {
        self.wait_until(Deadline::NEVER.into())
    }

    /// Arrives if all others have; otherwise nothing happens, and the barrier stays whole.
    ///
    /// # Errors
    ///
    /// [`BarrierError::WouldBlock`] if others are missing, and those of [`wait`](Barrier::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Barrier, BarrierError};
    ///
    /// let pair = Barrier::new(2)?;
    /// assert_eq!(pair.try_wait(), Err(BarrierError::WouldBlock));
    /// assert!(!pair.is_broken());
    /// assert!(Barrier::new(1)?.try_wait()?.is_leader());
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_wait(&self) -> std::result::Result<BarrierTurn, BarrierError> {
        let turn = self.call(Deadline::NOW.into(), |call, action| {
            self.raw.get().try_wait(call, action)
        });
        turn?.map_or(Err(BarrierError::WouldBlock), |index| Ok(self.turn(index)))
    }

    /// Arrives, and waits for the others for as long as `timeout`. If they have not come by then, *the barrier breaks for
    /// all of them*; with a `timeout` of zero, at once.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Timeout`], and those of [`wait`](Barrier::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Barrier, BarrierError};
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2)?;
    /// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BarrierError::Timeout));
    /// assert!(barrier.is_broken());
    /// barrier.reset();
    /// assert!(!barrier.is_broken());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<BarrierTurn, BarrierError> {
        self.wait_until(Until::timeout(timeout))
    }

    /// Arrives, and waits for the others until `deadline`; as [`wait_timeout`](Barrier::wait_timeout).
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Barrier::wait_timeout).
    pub fn wait_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<BarrierTurn, BarrierError> {
        self.wait_until(Until::deadline(deadline))
    }

    /// Arrives, and waits for the others until `until` is over, which breaks the barrier for all of them.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Timeout`], [`BarrierError::Ended`], and those of [`wait`](Barrier::wait).
    #[inline]
    pub fn wait_until(&self, until: Until<'_>) -> std::result::Result<BarrierTurn, BarrierError> {
        let index = self.call(until, |call, action| self.raw.get().wait(call, action))?;
        Ok(self.turn(index))
    }

    /// Breaks the barrier for those who wait and those who come, until the next [`reset`](Barrier::reset).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Barrier, BarrierError, BrokenBy};
    ///
    /// let barrier = Barrier::new(2)?;
    /// barrier.abort();
    /// let broken = BarrierError::Broken { by: BrokenBy::Abort, pid: std::process::id() };
    /// assert_eq!(barrier.wait(), Err(broken));
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) {
        self.raw.get().abort(std::process::id());
    }

    /// Makes the barrier whole and empty, and forgets the parties that are gone. Who waits for it now gets
    /// [`BrokenBy::Reset`], or why the barrier was broken before.
    ///
    /// When several parties reset a broken barrier, the last to do so breaks it for those who wait again already: let one
    /// of them do it, or look at [`is_broken`](Barrier::is_broken) first.
    pub fn reset(&self) {
        // First, or the next round would break for them again.
        self.attendance
            .with_parties(|parties| parties.forget_gone());
        self.raw.get().reset(std::process::id());
    }

    /// Makes one call, of a process that is known as a party.
    #[inline]
    fn call<R>(
        &self,
        until: Until<'_>,
        body: impl FnOnce(&Call<'_>, Option<&dyn Fn()>) -> std::result::Result<R, crate::sync::Failed>,
    ) -> std::result::Result<R, BarrierError> {
        let me = self.attendance.take_part().ok_or(BarrierError::Crowded)?;
        let peers: &Tenant = self.attendance.home().tenant();
        let action = self.action.as_deref().map(|action| action as &dyn Fn());
        self.attendance.with_parties(|parties| {
            let call = Call {
                me: me.who,
                pid: me.pid,
                parties: self.parties,
                until,
                peers,
                watch: parties as &dyn Watch,
            };
            Ok(body(&call, action)?)
        })
    }

    fn turn(&self, index: u32) -> BarrierTurn {
        BarrierTurn {
            index,
            is_leader: index + 1 == self.parties,
        }
    }
}

/// That all parties have arrived, and as which of them the caller did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BarrierTurn {
    index: u32,
    is_leader: bool,
}

impl BarrierTurn {
    /// How many had arrived before: 0 to `parties - 1`, different for each party of a round.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether this party arrived last: true for exactly one of a round.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish_non_exhaustive()
    }
}

impl Handle for Barrier {
    fn to_raw(&self) -> RawHandle {
        self.attendance.home().to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Self::on(Small::attach(raw, &form(1)?)?, true)
    }
}

handle_message!([] Barrier, "Barrier", []);

/// Who opens the struct may never come to the barrier, and is a party from its first wait on.
impl SharedField for Barrier {
    /// For how many parties it is: 1 to 64.
    type Init = u32;

    fn plan(plan: &mut Plan) {
        plan.noun(&field_form());
    }

    fn make(&parties: &u32, maker: &mut Maker<'_>) -> Result<()> {
        if parties > PARTIES_IN_STRUCT {
            let text = format!(
                "a barrier in a struct is for 1 to {PARTIES_IN_STRUCT} parties, not for {parties}"
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        form(parties)?;
        maker.noun(&field_form(), prepare(parties))
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Self::on(opener.noun(&field_form())?, false)
    }
}

fn field_form() -> Form {
    form(PARTIES_IN_STRUCT).expect("a barrier can be for so many")
}

fn form(parties: u32) -> Result<Form> {
    if !(1..=MOST_PARTIES).contains(&parties) {
        let text = format!("a barrier is for 1 to {MOST_PARTIES} parties, not for {parties}");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(Form {
        kind: Kind::Barrier,
        fingerprint: fingerprint(b"Barrier"),
        type_name: "parties".to_owned(),
        data: Some((barrier_len(parties) - 40, 8)),
    })
}

/// The head of the barrier lies before its data.
fn prepare(parties: u32) -> impl Fn(&Segment, u64) -> Result<()> {
    move |segment, data| {
        let head = Offset::<RawBarrier>::new(data - 40);
        segment.at(head).prepare(parties);
        Ok(())
    }
}
