//! Where a pipe lies, as this process sees it: making one, finding one, and its ends.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::message::{Message, segment_fingerprint};
use crate::ring::spsc::{Duct, Fitted, LaneFit, LaneGeometry, RawEnd, Refused, Room, Seat, Side};
use crate::segment::{Expect, Kind, Spec};
use crate::sys::atfork::ForkMutex;
use crate::sys::identity::{Participant, current_pid};
use crate::sys::membarrier;
use crate::tenancy::{PipeMender, RawHandle, Tenant};
use crate::{Error, ErrorKind, Result};

/// The places of the lanes' message types, and of the validation policy, among a pipe's parameters.
const FINGERPRINTS: [usize; 2] = [4, 5];
const VALIDATION: usize = 6;

/// How a seat is taken over.
type TakeOver = fn(&Seat, Participant, u32) -> std::result::Result<u32, Refused>;

/// One end of one lane, as a handle names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) side: Side,
}

/// A pipe's segment, and what lies in it.
#[derive(Clone, Debug)]
pub(super) struct Site {
    tenant: Arc<Tenant>,
    duct: Arc<Duct>,
}

/// How messages of type `T` lie in a lane.
#[derive(Debug)]
pub(super) struct FitOf<T>(PhantomData<fn() -> T>);

impl<T: Message> Fitted for FitOf<T> {
    const FIT: LaneFit = {
        assert!(T::ALIGN <= 16, "a message is aligned to at most 16 bytes");
        LaneFit::of(T::FIXED, T::ALIGN)
    };
}

/// What a new pipe shall be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How much each lane holds.
    pub(super) room: [Room; 2],
    pub(super) check: bool,
    pub(super) mode: u32,
}

impl Site {
    /// Makes a pipe whose lanes carry `A` and `B`.
    pub(super) fn make<A: Message, B: Message>(plan: &Plan) -> Result<Self> {
        let shapes = [
            LaneGeometry::of(FitOf::<A>::FIT, plan.room[0])?,
            LaneGeometry::of(FitOf::<B>::FIT, plan.room[1])?,
        ];
        let mut spec = Spec::new(Kind::Pipe);
        spec.type_name = format!("{}, {}", A::type_name(), B::type_name());
        spec.body_len = Duct::body_len(&shapes);
        spec.mode = plan.mode;
        Duct::note(&shapes, &mut spec.params);
        spec.params[FINGERPRINTS[0]] = segment_fingerprint::<A>();
        spec.params[FINGERPRINTS[1]] = segment_fingerprint::<B>();
        spec.params[VALIDATION] = u64::from(plan.check);
        // Zeroed memory is an empty pipe.
        Site::over(Tenant::create(
            None,
            &spec,
            |_| Ok(()),
            Arc::new(PipeMender),
        )?)
    }

    /// A descriptor of the pipe for another process, with none of our locks.
    pub(super) fn loan(&self) -> Result<OwnedFd> {
        self.tenant.loan()
    }

    /// The pipe that a handle names.
    pub(super) fn find(raw: &RawHandle) -> Result<Self> {
        let expect = Expect::any(Kind::Pipe);
        Site::over(Tenant::attach(raw, &expect, Arc::new(PipeMender))?)
    }

    fn over(tenant: Arc<Tenant>) -> Result<Self> {
        membarrier::register();
        let duct = Arc::new(Duct::attach(tenant.segment())?);
        Ok(Site { tenant, duct })
    }

    pub(super) fn shared_tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    #[inline(always)]
    pub(super) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whether messages are checked before they are read.
    pub(super) fn checks(&self) -> bool {
        self.tenant.segment().params()[VALIDATION] != 0
    }

    /// Refuses a lane that carries something else than `T`.
    pub(super) fn check_type<T: Message>(&self, lane: usize) -> Result<()> {
        let found = self.tenant.segment().params()[FINGERPRINTS[lane]];
        let same = found == segment_fingerprint::<T>();
        if same && self.duct.lane(lane).geometry().fit == FitOf::<T>::FIT {
            return Ok(());
        }
        let text = format!(
            "the pipe carries {} (each way), not {} here",
            self.tenant.segment().geometry().type_name,
            T::type_name()
        );
        Err(Error::new(ErrorKind::WrongType, text))
    }

    /// A handle that names some of the pipe's ends.
    pub(super) fn handle(&self, offset: u32, generation: u16) -> RawHandle {
        self.tenant.handle(offset, generation)
    }

    fn seat(&self, place: Place) -> &Seat {
        let control = self.duct.lane(place.lane).control();
        match place.side {
            Side::Sender => &control.sender,
            Side::Receiver => &control.receiver,
        }
    }

    /// Takes the end of a pipe that was just made.
    pub(super) fn take_first(&self, place: Place) -> Result<()> {
        let me = self.tenant.seat()?;
        match self.seat(place).take_first(me, current_pid()) {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Corrupt,
                "a new pipe's end is not free",
            )),
        }
    }

    /// Whether the end that was offered in `epoch` could be taken now.
    pub(super) fn may_claim(&self, place: Place, epoch: u16) -> Result<()> {
        self.seat(place).may_be_claimed(epoch).map_err(refused)
    }

    /// Takes the end that was offered in `epoch`.
    pub(super) fn claim(&self, place: Place, epoch: u16) -> Result<()> {
        let me = self.tenant.seat()?;
        let done = self.seat(place).claim(epoch, me, current_pid());
        done.map_err(refused)
    }

    /// Takes the end over from a process that died with it; that one's pid.
    pub(super) fn resume(&self, place: Place) -> Result<u32> {
        self.take_over(place, Seat::resume)
    }

    /// Takes over the end that goes with one just resumed.
    pub(super) fn resume_second(&self, place: Place) -> Result<u32> {
        self.take_over(place, Seat::resume_second)
    }

    fn take_over(&self, place: Place, take: TakeOver) -> Result<u32> {
        let me = self.tenant.seat()?;
        let seat = self.seat(place);
        if let Some(holder) = seat.holder() {
            self.tenant.bury(holder, &|dead| self.duct.repair(dead));
        }
        take(seat, me, current_pid()).map_err(refused)
    }

    /// Gives an end back that was just taken over from the process `dead`, for another try.
    pub(super) fn unresume(&self, place: Place, dead: u32) {
        if let Some(me) = self.tenant.who() {
            self.seat(place).unresume(me, dead);
        }
    }

    /// An end of a lane, whose seat this process has just taken.
    pub(super) fn end<E: RawEnd>(&self, lane: usize) -> Result<E> {
        let me = self.tenant.seat()?;
        Ok(E::new(Arc::clone(&self.duct), lane, me))
    }

    /// Keeps the pipe for as long as the offer of one of its ends is open: its holder answers for it meanwhile.
    pub(super) fn keep_offered(&self, place: Place, epoch: u16) {
        let entry = Offered {
            site: self.clone(),
            place,
            epoch,
        };
        if !entry.is_open() {
            return; // it was taken up before it was let go of
        }
        let mut offers = OFFERS.lock();
        let over: Vec<_> = offers.extract_if(.., |offer| !offer.is_open()).collect();
        offers.push(entry);
        drop(offers);
        drop(over); // outside of the lock: dropping a tenant runs code of its own
    }
}

fn refused(why: Refused) -> Error {
    match why {
        Refused::Held(pid) => Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "process {pid} has this end of the pipe; only the end of a dead one can be taken over"
            ),
        ),
        Refused::Closed => Error::new(ErrorKind::Closed, "this end of the pipe was closed"),
    }
}

/// An end that was sent, and let go of here, before its receiver has claimed it.
#[derive(Debug)]
struct Offered {
    site: Site,
    place: Place,
    epoch: u16,
}

impl Offered {
    fn is_open(&self) -> bool {
        self.site.seat(self.place).is_offered(self.epoch)
    }
}

/// The open offers of this process; a forked child has made none of them.
static OFFERS: ForkMutex<Vec<Offered>> = ForkMutex::new(Vec::new(), Vec::new);
