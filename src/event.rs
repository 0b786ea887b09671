//! [`Event`]: a flag that processes wait for.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::message::{Handle, handle_message};
use crate::segment::layout::{Offset, fingerprint};
use crate::segment::{Kind, Place, Segment};
use crate::sync::RawEvent;
use crate::sys::clock::Deadline;
use crate::sys::until::Over;
use crate::tenancy::{Form, Maker, Opener, Plan, RawHandle, SharedField, Small, Tenant};
use crate::waiting::{Source, Spot, Waitable, look_along};
use crate::{Result, TimedOut, Until, WaitError};

/// A flag that any number of processes wait for, and any of them may set or clear.
///
/// It begins unset. [`set`](Event::set) lets everybody through who waits, and everybody who comes later, until
/// [`clear`](Event::clear). Who was waiting when it was set is let through even if it is cleared at once, so a short pulse
/// is not missed. What a process did before `set` is seen by those whom it let through.
///
/// An `Event` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the
/// same flag.
///
/// # Waiting and cost
///
/// Waiting for a flag that is set is one load. Who has to wait spins for some microseconds and then sleeps in the kernel.
/// Setting is one exchange, and one system call if anybody may sleep, however many do. The verbs that wait come in four
/// forms: [`wait`](Event::wait), [`try_wait`](Event::try_wait), [`wait_timeout`](Event::wait_timeout),
/// [`wait_deadline`](Event::wait_deadline); and [`wait_until`](Event::wait_until) also ends with another process.
///
/// # When a process dies
///
/// Nobody holds an event. A waiter that is killed is missed by nobody; a setter that is killed has either set the flag,
/// and then everybody is let through within 100 ms at most, or it has not.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Event, Process};
///
/// fn worker(ready: Event, done: Event) {
///     ready.wait();
///     done.set();
/// }
///
/// let (ready, done) = (Event::new()?, Event::new()?);
/// let process = Process::spawn(worker, (ready.clone(), done.clone()))?;
/// assert!(!done.is_set());
/// ready.set();
/// done.wait();
/// process.join()
/// # }
/// ```
#[derive(Clone)]
pub struct Event {
    raw: Place<RawEvent>,
    home: Small,
}

impl Event {
    /// A new event without a name, not set.
    ///
    /// It takes 64 bytes in an arena that all unnamed events of the process share.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::ErrorKind::NoSpace) when there is no memory for it.
    pub fn new() -> Result<Self> {
        Ok(Self::on(Small::anonymous(&form(), |_, _| Ok(()))?))
    }

    /// A new event called `name`, which other programs of the same user can [`open`](Event::open).
    ///
    /// It exists until its last user is gone, or until it is [removed](Event::remove).
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name
    /// that cannot be one, [`NoSpace`](crate::ErrorKind::NoSpace).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::Event;
    ///
    /// let name = format!("started-{}", std::process::id());
    /// let started = Event::create(&name)?;
    /// Event::open(&name)?.set();
    /// assert!(started.is_set());
    /// Event::remove(&name)
    /// # }
    /// ```
    pub fn create(name: &str) -> Result<Self> {
        Ok(Self::on(Small::create(name, &form(), |_, _| Ok(()))?))
    }

    /// The event called `name`. See [`create`](Event::create).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`WrongType`](crate::ErrorKind::WrongType),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(Small::open(name, &form())?))
    }

    /// The event called `name`; if there is none, a new one.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Event::open) but `NotFound`, and those of [`create`](Event::create) but `AlreadyExists`.
    pub fn open_or_create(name: &str) -> Result<Self> {
        let small = Small::open_or_create(name, &form(), |_, _| Ok(()))?;
        Ok(Self::on(small))
    }

    /// Removes the name. Those who have the event open keep it; the name is free for a new one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn remove(name: &str) -> Result<()> {
        Small::remove(name)
    }

    fn on(home: Small) -> Self {
        let raw = Place::new(home.tenant().segment(), home.place());
        Event { raw, home }
    }

    /// Whether the event is set.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.raw.get().is_set()
    }

    /// Sets the event and lets everybody through who waits for it. Does nothing else if it is set already.
    #[inline]
    #[doc(alias = "signal")]
    pub fn set(&self) {
        self.raw.get().set(self.segment());
    }

    /// Takes the flag back: who comes from now on waits for the next [`set`](Event::set).
    #[doc(alias = "reset")]
    pub fn clear(&self) {
        self.raw.get().clear(self.segment());
    }

    /// Waits until the event is set.
    #[inline]
    pub fn wait(&self) {
        while self.wait_for(Deadline::NEVER.into()).is_err() {}
    }

    /// Does not wait: tells whether the event is set, in the form of the other three.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if it is not.
    #[inline]
    pub fn try_wait(&self) -> std::result::Result<(), TimedOut> {
        if self.is_set() { Ok(()) } else { Err(TimedOut) }
    }

    /// Waits until the event is set, for as long as `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if it was not set in that time.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> multiproc::Result<()> {
    /// use multiproc::{Event, TimedOut};
    /// use std::time::Duration;
    ///
    /// let event = Event::new()?;
    /// assert_eq!(event.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// event.set();
    /// assert_eq!(event.wait_timeout(Duration::ZERO), Ok(()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> std::result::Result<(), TimedOut> {
        self.wait_for(Until::timeout(timeout)).map_err(|_| TimedOut)
    }

    /// Waits until the event is set, until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Event::wait_timeout).
    pub fn wait_deadline(&self, deadline: Instant) -> std::result::Result<(), TimedOut> {
        self.wait_for(Until::deadline(deadline))
            .map_err(|_| TimedOut)
    }

    /// Waits until the event is set, or `until` is over; see [`Until`] for an example.
    ///
    /// # Errors
    ///
    /// [`WaitError`] says which of the two ends came first.
    pub fn wait_until(&self, until: Until<'_>) -> std::result::Result<(), WaitError> {
        Ok(self.wait_for(until)?)
    }

    #[inline]
    fn segment(&self) -> &Segment {
        self.home.tenant().segment()
    }

    #[inline]
    fn wait_for(&self, until: Until<'_>) -> std::result::Result<(), Over> {
        let peers: &Tenant = self.home.tenant();
        self.raw.get().wait(until, peers)
    }
}

impl Source for Event {
    fn spot(&self) -> Option<Spot<'_>> {
        Some(Spot::new(self.home.tenant(), self.raw.get().word()))
    }

    fn begin(&self) -> u64 {
        self.raw.get().laps().into()
    }

    #[inline]
    fn look_along(&self, things: &[&dyn Waitable], begun: &[u64]) -> ControlFlow<usize, usize> {
        look_along::<Self>(things, begun)
    }

    #[inline]
    fn is_ready(&self, begun: u64) -> bool {
        self.raw.get().was_set_since(begun as u32)
    }

    #[inline]
    fn is_ready_now(&self) -> bool {
        self.is_set()
    }

    fn announce(&self) -> bool {
        self.raw.get().watch();
        false
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}

impl Handle for Event {
    fn to_raw(&self) -> RawHandle {
        self.home.to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        Ok(Self::on(Small::attach(raw, &form())?))
    }
}

handle_message!([] Event, "Event", []);

impl SharedField for Event {
    /// Whether it is set from the start.
    type Init = bool;

    fn plan(plan: &mut Plan) {
        plan.noun(&form());
    }

    fn make(&set: &bool, maker: &mut Maker<'_>) -> Result<()> {
        maker.noun(&form(), |segment, place| {
            if set {
                segment.at(Offset::<RawEvent>::new(place)).set(segment);
            }
            Ok(())
        })
    }

    fn open(opener: &mut Opener<'_>) -> Result<Self> {
        Ok(Self::on(opener.noun(&form())?))
    }
}

fn form() -> Form {
    Form {
        kind: Kind::Event,
        fingerprint: fingerprint(b"Event"),
        type_name: "flag".to_owned(),
        data: None,
    }
}
