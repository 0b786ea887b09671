//! The knobs of a queue.

use std::marker::PhantomData;
#[cfg(feature = "compat")]
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Queue;
use crate::message::{Message, Validation, segment_fingerprint};
use crate::ring::{Fit, Geometry, Shape};
use crate::segment::name::Name;
use crate::segment::{Expect, Kind, MODE_HUGE, MODE_PREFAULT, Spec, with_mode};
use crate::tenancy::{QueueMender, Tenant};
use crate::{Error, ErrorKind, Result};

/// Longer messages of fixed size lie in blocks as messages of varying size do.
const FIXED_MAX: usize = 4096;
/// Bytes of a message that fit the slot unless the builder says otherwise: 1 KiB of payload and its fixed parts.
const MESSAGE_SIZE: usize = 1072;
/// The longest message that lies in the slot itself.
const INLINE_MAX: usize = 8192;
const CAPACITY: usize = 1024;
pub(super) const MAX_DELIVERIES: u8 = 16;

/// The place of the validation policy among a queue's parameters.
const PARAM_VALIDATION: usize = 7;

/// The knobs of a queue; made by [`Queue::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// use multiproc::{Queue, Validation};
///
/// let queue = Queue::<String>::builder()
///     .capacity(256)
///     .message_size(200)
///     .max_deliveries(3)
///     .validation(Validation::Check)
///     .anonymous()?;
/// assert_eq!(queue.capacity(), 256);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `create`, `open`, `open_or_create`, `anonymous` or `split` is called"]
pub struct QueueBuilder<T: Message> {
    pub(super) name: Option<String>,
    capacity: usize,
    message_size: usize,
    max_deliveries: u8,
    pub(super) validation: Validation,
    pub(super) mode: u32,
    message: PhantomData<fn() -> T>,
}

impl<T: Message> QueueBuilder<T> {
    pub(super) fn new() -> Self {
        QueueBuilder {
            name: None,
            capacity: CAPACITY,
            message_size: MESSAGE_SIZE,
            max_deliveries: MAX_DELIVERIES,
            validation: Validation::default(),
            mode: 0,
            message: PhantomData,
        }
    }

    /// The name under which other processes find the queue; see [`Queue::create`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many messages fit, 1 to 4,194,304; 1,024 unless said.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// About how many bytes most messages have, for types of varying size; 1,072 unless said, at most 8,192.
    ///
    /// Messages up to this length lie in the queue itself, longer ones in blocks beside it, which costs a little more
    /// for each. The queue takes `capacity` times this much memory.
    pub fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = bytes;
        self
    }

    /// After how many deliveries a message goes to the [dead letters](Queue::dead_letters), 1 to 127; 16 unless said.
    pub fn max_deliveries(mut self, deliveries: u8) -> Self {
        self.max_deliveries = deliveries;
        self
    }

    /// Whether messages are checked before they are read; see [`Validation`].
    ///
    /// Said at creation it holds for every reader; said at [`open`](QueueBuilder::open) for this process.
    pub fn validation(mut self, policy: Validation) -> Self {
        self.validation = policy;
        self
    }

    /// Asks the system for huge pages, which speeds up queues of many megabytes where the system grants them.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_HUGE, yes);
        self
    }

    /// Takes all page faults when the queue is made or opened, in place of one at the first use of each page.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.mode = with_mode(self.mode, MODE_PREFAULT, yes);
        self
    }

    /// Makes the queue without a name: children get it as an argument, others in a message, and nothing is left of it
    /// when every process that has it is gone.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a knob out of range or a name, `NoSpace` when shared memory is used up.
    pub fn anonymous(self) -> Result<Queue<T>> {
        match &self.name {
            None => made(None, &self.spec()?),
            Some(name) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("an anonymous queue has no name, but `{name}` was given; call create()"),
            )),
        }
    }

    /// Makes the queue under its name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when there is an object of that name, `InvalidInput` for a knob out of range or without a name,
    /// `NoSpace` when shared memory is used up.
    pub fn create(self) -> Result<Queue<T>> {
        made(Some(&self.named()?), &self.spec()?)
    }

    /// Opens the queue of that name; its capacity and sizes are what its creator said.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none, `WrongType` when it is no queue or one of other messages, `PermissionDenied` when
    /// it belongs to another user, `Corrupt` or `WrongVersion` when it is not what this library makes.
    pub fn open(self) -> Result<Queue<T>> {
        let expect = Expect::from(&expected::<T>());
        let tenant = Tenant::open(&self.named()?, &expect, Arc::new(QueueMender))?;
        self.checking(tenant)
    }

    /// Opens the queue of that name, or makes it when there is none; of several processes that do this at the same time
    /// exactly one makes it.
    ///
    /// # Errors
    ///
    /// As [`open`](QueueBuilder::open) and [`create`](QueueBuilder::create).
    pub fn open_or_create(self) -> Result<Queue<T>> {
        let (name, spec) = (self.named()?, self.spec()?);
        let tenant = Tenant::open_or_create(&name, &spec, |_| Ok(()), Arc::new(QueueMender))?;
        self.checking(tenant)
    }

    /// The queue that fills a file of somebody else's.
    #[cfg(feature = "compat")]
    pub(crate) fn adopt_file(self, file: OwnedFd) -> Result<Queue<T>> {
        if let Some(name) = &self.name {
            let text = format!("a queue in adopted memory has no name, but `{name}` was given");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let tenant = crate::tenancy::adopt(file, &self.spec()?, Arc::new(QueueMender))?;
        self.checking(tenant)
    }

    /// Whether it has a name.
    pub(crate) fn is_named(&self) -> bool {
        self.name.is_some()
    }

    fn named(&self) -> Result<Name> {
        let name = self.name.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the queue has no name; give it one with name(), or call anonymous()",
            )
        })?;
        Name::parse(name)
    }

    /// The queue found, checked at least as much as this process asks for.
    fn checking(&self, tenant: Arc<Tenant>) -> Result<Queue<T>> {
        let mut queue = Queue::over(tenant)?;
        queue.check |= self.validation == Validation::Check;
        Ok(queue)
    }

    pub(super) fn geometry(&self) -> Result<Geometry> {
        let geometry = Geometry {
            capacity: u32::try_from(self.capacity).unwrap_or(u32::MAX),
            shape: shape::<T>(self.message_size),
            max_deliveries: self.max_deliveries,
        };
        geometry.validate()?;
        Ok(geometry)
    }

    fn spec(&self) -> Result<Spec> {
        let geometry = self.geometry()?;
        let mut spec = expected::<T>();
        spec.body_len = geometry.body_len();
        spec.reserve_len = geometry.lease_reserve();
        spec.params = geometry.to_params();
        spec.params[PARAM_VALIDATION] = u64::from(self.validation == Validation::Check);
        spec.mode = self.mode;
        Ok(spec)
    }
}

fn made<T: Message>(name: Option<&Name>, spec: &Spec) -> Result<Queue<T>> {
    // Zeroed memory is an empty ring.
    let tenant = Tenant::create(name, spec, |_| Ok(()), Arc::new(QueueMender))?;
    Queue::over(tenant)
}

/// What every queue of `T` is, whatever its knobs.
pub(super) fn expected<T: Message>() -> Spec {
    let mut spec = Spec::new(Kind::Queue);
    spec.fingerprint = segment_fingerprint::<T>();
    spec.type_name = T::type_name();
    spec
}

/// Whether the creator of a queue wants every message checked.
pub(super) fn checks(params: &[u64; 8]) -> bool {
    params[PARAM_VALIDATION] != 0
}

impl<T: Message> Queue<T> {
    /// Whether all messages have one size and lie in their slots.
    pub(super) const FIT: Fit = match T::FIXED {
        Some(size) if size <= FIXED_MAX => Fit::slot(size, T::ALIGN),
        _ => Fit::Any,
    };
}

fn shape<T: Message>(message_size: usize) -> Shape {
    const { assert!(T::ALIGN <= 16, "a message is aligned to at most 16 bytes") };
    if let Fit::Slot { size, .. } = Queue::<T>::FIT {
        return Shape::Fixed {
            size: size as u32,
            align: T::ALIGN as u32,
        };
    }
    let inline = message_size.clamp(16, INLINE_MAX).next_multiple_of(16);
    Shape::Variable {
        inline: inline as u32,
    }
}
