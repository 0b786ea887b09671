//! `raw_sync`'s traits for [`Event`].

use std::error::Error;
use std::ptr::NonNull;

use raw_sync::Timeout;
use raw_sync::events::{EventImpl, EventInit, EventState};

use crate::message::Handle;
use crate::tenancy::RawHandle;
use crate::{Event, Until};

/// What lies in the memory that `raw_sync`'s verbs are given: a mark, and the handle of an event.
type Record = [u8; MARK.len() + RawHandle::LEN];

const MARK: [u8; 8] = *b"mpEVENT1";

impl From<Timeout> for Until<'_> {
    fn from(timeout: Timeout) -> Self {
        match timeout {
            Timeout::Infinite => Until::forever(),
            Timeout::Val(duration) => Until::timeout(duration),
        }
    }
}

/// The memory that these verbs are given holds 40 bytes that lead to an event of this crate; the event itself lies
/// elsewhere, so that nothing can be said to it but by its verbs. It lives as long as anybody has it, so its maker must
/// keep it until others have come.
///
/// An event of this crate is taken back by `clear` alone: `new` refuses `auto_reset`.
///
/// ```
/// use multiproc::Event;
/// use multiproc::compat::raw_sync::{Timeout, events::{EventInit, EventState}};
/// use std::time::Duration;
///
/// let mut memory = [0_u8; 64];
/// // SAFETY: the memory is long enough, and nobody else uses it.
/// let (made, used) = unsafe { <Event as EventInit>::new(memory.as_mut_ptr(), false) }.unwrap();
/// // SAFETY: an event was made there.
/// let (same, _) = unsafe { <Event as EventInit>::from_existing(memory.as_mut_ptr()) }.unwrap();
/// assert!(used <= memory.len());
/// assert!(same.wait(Timeout::Val(Duration::ZERO)).is_err());
/// made.set(EventState::Signaled).unwrap();
/// same.wait(Timeout::Infinite).unwrap();
/// ```
impl EventInit for Event {
    fn size_of(_: Option<*mut u8>) -> usize {
        size_of::<Record>()
    }

    unsafe fn new(
        mem: *mut u8,
        auto_reset: bool,
    ) -> Result<(Box<dyn EventImpl>, usize), Box<dyn Error>> {
        if auto_reset {
            return Err("an event of multiproc is taken back by `clear` alone".into());
        }
        let place = record_at(mem)?;
        let event = Event::new()?;
        let mut record = [0; size_of::<Record>()];
        record[..MARK.len()].copy_from_slice(&MARK);
        record[MARK.len()..].copy_from_slice(&event.to_raw().to_bytes());
        // SAFETY: as many bytes as `size_of` says are the caller's to be written to, by the contract of the trait.
        unsafe { place.write_unaligned(record) };
        Ok((Box::new(event), size_of::<Record>()))
    }

    unsafe fn from_existing(mem: *mut u8) -> Result<(Box<dyn EventImpl>, usize), Box<dyn Error>> {
        // SAFETY: `new` has returned for this memory, by the contract of the trait, and any bytes are a record.
        let record = unsafe { record_at(mem)?.read_unaligned() };
        let (mark, handle) = record.split_at(MARK.len());
        if mark != MARK {
            return Err("no event of multiproc was made here".into());
        }
        let raw = RawHandle::from_bytes(handle.try_into()?);
        let event: Event = Handle::attach(&raw)?;
        Ok((Box::new(event), size_of::<Record>()))
    }
}

fn record_at(mem: *mut u8) -> Result<NonNull<Record>, Box<dyn Error>> {
    let place = NonNull::new(mem.cast::<Record>());
    place.ok_or_else(|| "an event needs memory, not a null pointer".into())
}

impl EventImpl for Event {
    fn wait(&self, timeout: Timeout) -> Result<(), Box<dyn Error>> {
        Ok(self.wait_until(timeout.into())?)
    }

    fn set(&self, state: EventState) -> Result<(), Box<dyn Error>> {
        match state {
            EventState::Clear => self.clear(),
            EventState::Signaled => Event::set(self),
        }
        Ok(())
    }
}
