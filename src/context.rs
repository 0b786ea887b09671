//! [`Context`]: a value that is written once, and read in place by all who have it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::message::{
    Encode, Handle, Message, WriteError, bytes_at, handle_message, room_at, segment_fingerprint,
};
use crate::segment::{Expect, Kind, Segment, Spec};
use crate::sys::step::step;
use crate::tenancy::handover::{self, Cargo};
use crate::tenancy::{NothingToRepair, RawHandle, Tenant};
use crate::{Error, ErrorKind, Result};

/// A value in shared memory that nobody changes any more: it derefs to the value's [view](Message::View).
///
/// It is written once, in its final form, and whoever is given it reads it where it lies: processes that share a gigabyte
/// take a gigabyte together, and nothing is unpacked. For what is to be changed there are [`Lock`](crate::Lock) and
/// [`Cell`](crate::Cell).
///
/// A `Context` is a handle. Cloning it, sending it in a message or passing it to a process gives another handle on the same
/// value; all handles of a process share one mapping and one descriptor. [`Pool::map_with`](crate::Pool::map_with) gives one
/// to every call of a function. The memory is free again when nobody has it any more.
///
/// # Cost
///
/// Making one takes as long as writing the value, twice where its length is not known beforehand: it is counted first. It
/// takes a descriptor, its length in whole pages, and 8 KiB. Each process that is given one attaches in some 30 us, whatever
/// its length. Reading costs what reading memory costs.
///
/// # When a process dies
///
/// Nothing can be lost or torn: readers change nothing, and who is killed while he makes a context has made none. Its memory
/// is free when the last of those who have it is gone, also by `SIGKILL`. Shared objects among its parts are kept by the handle
/// that [`new`](Context::new) returned and by its clones in the same process.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Context, Process};
///
/// fn longest(words: Context<Vec<String>>) -> u64 {
///     words.iter().map(|word| word.len() as u64).max().unwrap_or(0)
/// }
///
/// let words = Context::new(vec!["to".to_string(), "question".to_string()])?;
/// let process = Process::spawn(longest, (words.clone(),))?;
/// assert_eq!(process.join()?, 8);
/// assert_eq!(words[0], *"to");
/// # Ok(())
/// # }
/// ```
pub struct Context<C: Message> {
    view: NonNull<C::View>,
    home: Arc<Home>,
    value: PhantomData<fn() -> C>,
}

// SAFETY: a handle gives shared access to a view that nobody changes, mapped for as long as `home` lives, and nothing else.
unsafe impl<C: Message<View: Sync>> Send for Context<C> {}
// SAFETY: as above.
unsafe impl<C: Message<View: Sync>> Sync for Context<C> {}

/// What keeps a context where it is.
pub(crate) struct Home {
    tenant: Arc<Tenant>,
    /// The shared objects among its parts.
    _cargo: Cargo,
}

impl<C: Message> Context<C> {
    /// Writes `value` into shared memory.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) when there is no memory for it, [`InvalidMessage`](ErrorKind::InvalidMessage) when its
    /// own serialisation fails, [`Os`](ErrorKind::Os) when no descriptor is left.
    pub fn new(value: impl Encode<C>) -> Result<Self> {
        let len = length(&value)?;
        let spec = Spec {
            fingerprint: segment_fingerprint::<C>(),
            type_name: C::type_name(),
            body_len: len as u64,
            params: [len as u64, 0, 0, 0, 0, 0, 0, 0],
            ..Spec::new(Kind::Context)
        };
        let fill = |segment: &Segment| write(&value, segment);
        let create = || Tenant::create(None, &spec, fill, Arc::new(NothingToRepair));
        let (tenant, cargo) = handover::collect(create);
        Self::on(tenant?, cargo)
    }

    fn on(tenant: Arc<Tenant>, cargo: Cargo) -> Result<Self> {
        const { assert!(C::ALIGN <= 4096, "a context begins with a page") };
        let bytes = body(tenant.segment())?;
        // SAFETY: the body was written before anybody else could attach, by `write` of the same type, which the fingerprint
        // says; nobody writes to it again, and `home` keeps it mapped.
        let view = unsafe { C::view(bytes_at(bytes)) };
        Ok(Context {
            view: NonNull::from(view),
            home: Arc::new(Home {
                tenant,
                _cargo: cargo,
            }),
            value: PhantomData,
        })
    }

    /// The value as an ordinary one of this process's own; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<C> {
        C::to_owned(self)
    }

    /// What keeps it, whatever it is.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }
}

/// How many bytes the value takes.
fn length<C: Message>(value: &impl Encode<C>) -> Result<usize> {
    if let Some(len) = C::FIXED {
        return Ok(len);
    }
    match value.encode(&mut []) {
        Ok(len) | Err(WriteError::Overflow(len)) => Ok(len),
        Err(refused) => Err(refused.into()),
    }
}

/// Writes the value into a segment that nobody else sees yet.
fn write<C: Message>(value: &impl Encode<C>, segment: &Segment) -> Result<()> {
    let body = body(segment)?;
    // SAFETY: the body is mapped, and this process's alone until the segment is published.
    let room = unsafe { room_at(body) };
    step("context.write");
    match value.encode(room)? == body.len() {
        true => Ok(()),
        false => {
            let text = "the value became shorter while it was written";
            Err(Error::new(ErrorKind::InvalidMessage, text))
        }
    }
}

/// Where the value lies.
fn body(segment: &Segment) -> Result<NonNull<[u8]>> {
    let ((start, room), len) = (segment.body(), segment.params()[0]);
    let bytes = (len <= room).then(|| segment.bytes(start, len)).flatten();
    bytes.ok_or_else(|| {
        let text = "the context lies outside of its segment";
        Error::new(ErrorKind::Corrupt, text)
    })
}

impl<C: Message> Deref for Context<C> {
    type Target = C::View;

    #[inline]
    fn deref(&self) -> &C::View {
        // SAFETY: it is mapped for as long as `home` lives, and nobody changes it.
        unsafe { self.view.as_ref() }
    }
}

impl<C: Message> Clone for Context<C> {
    fn clone(&self) -> Self {
        Context {
            view: self.view,
            home: Arc::clone(&self.home),
            value: PhantomData,
        }
    }
}

impl<C: Message<View: fmt::Debug>> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&&**self).finish()
    }
}

impl<C: Message> Handle for Context<C> {
    fn to_raw(&self) -> RawHandle {
        self.home.tenant.handle(0, 0)
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let expect = Expect {
            kind: Kind::Context,
            fingerprint: Some(segment_fingerprint::<C>()),
            type_name: C::type_name(),
        };
        let tenant = Tenant::attach(raw, &expect, Arc::new(NothingToRepair))?;
        Self::on(tenant, Cargo::default())
    }
}

handle_message!([C: Message] Context<C>, "Context", [C]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_length_are_read_where_they_lie() {
        for len in [0, 1, 5000] {
            let words: Vec<String> = (0..len).map(|n| n.to_string()).collect();
            let context = Context::new(&words).unwrap();
            assert!(words.iter().zip(context.iter()).all(|(a, b)| *b == **a));
            assert_eq!(context.len(), len);
            assert_eq!(Context::to_owned(&context).unwrap(), words);
        }
        assert_eq!(*Context::<u64>::new(7).unwrap(), 7);
        assert_eq!(
            Context::<()>::new(()).unwrap().home.tenant.members().len(),
            1
        );
        assert_eq!(
            format!("{:?}", Context::<u8>::new(7).unwrap()),
            "Context(7)"
        );
    }

    #[test]
    fn another_type_is_refused() {
        let context = Context::<u64>::new(1).unwrap();
        let raw = context.to_raw();
        assert!(Context::<u64>::attach(&raw).is_ok());
        let refused = Context::<i64>::attach(&raw).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WrongType);
    }
}
