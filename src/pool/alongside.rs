//! A context that goes along with the items of a map: where it lies stands before each of them, and each worker attaches to
//! it once.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::desk::Desk;
use super::frame::Frame;
use super::job::{In, InPlace, Owned, answer};
use crate::context::Context;
use crate::message::{Encode, Handle, Message, WriteError, copy_bytes};
use crate::process::Outcome;
use crate::tenancy::RawHandle;
use crate::{Error, ErrorKind, Result};

/// What [`Pool::map_with`](super::Pool::map_with) takes for a context: a reference to one that is there already, or to a value
/// of which one is made for the call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no context `{C}` for a pool's function",
    label = "expected a reference to a `Context<{C}>`, or to a `{C}`"
)]
pub trait AsContext<C: Message> {
    /// The context.
    ///
    /// # Errors
    ///
    /// As [`Context::new`].
    #[doc(hidden)]
    fn as_context(&self) -> Result<Context<C>>;
}

impl<C: Message> AsContext<C> for &Context<C> {
    fn as_context(&self) -> Result<Context<C>> {
        Ok((*self).clone())
    }
}

impl<C: Message> AsContext<C> for &C {
    fn as_context(&self) -> Result<Context<C>> {
        Context::new(*self)
    }
}

/// A function that a [`Pool`](super::Pool) can run on items `A` beside a context `C`: every function, and every closure that
/// captures nothing, that takes an [`In<C>`](In) and an `A` or [`In<A>`](In), and returns what an
/// [entry function](crate::process::Entry) may return.
///
/// `Kind` says which; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run by a pool on items `{A}` beside a context `{C}`",
    label = "not a function of a context and one such argument",
    note = "it takes the context as `In<'_, {C}>`, and then one message: by value, or as `In<'_, T>`"
)]
pub trait JobWith<C, A, Kind>: Copy + 'static {
    /// What comes of an item.
    type Return: Message;

    /// Runs the function on the item that lies in these bytes, and answers.
    #[doc(hidden)]
    fn run_with(self, desk: &Desk<'_>, context: &Context<C>, bytes: &[u8])
    where
        C: Message;
}

impl<F, C, A, O, Kind> JobWith<C, A, Owned<Kind>> for F
where
    F: for<'c> Fn(In<'c, C>, A) -> O + Copy + 'static,
    C: Message,
    A: Message,
    O: Outcome<Kind>,
{
    type Return = O::Value;

    fn run_with(self, desk: &Desk<'_>, context: &Context<C>, bytes: &[u8]) {
        match desk.arguments::<A>(bytes) {
            Ok(argument) => answer(desk, || self(In::new(&**context), argument).settle()),
            Err(error) => desk.fail(&error),
        }
    }
}

impl<F, C, A, O, Kind> JobWith<C, A, InPlace<Kind>> for F
where
    F: for<'c, 'a> Fn(In<'c, C>, In<'a, A>) -> O + Copy + 'static,
    C: Message,
    A: Message,
    O: Outcome<Kind>,
{
    type Return = O::Value;

    fn run_with(self, desk: &Desk<'_>, context: &Context<C>, bytes: &[u8]) {
        let item = desk.view::<A>(bytes);
        answer(desk, || self(In::new(&**context), In::new(item)).settle());
    }
}

/// An item, and where the context lies.
pub(super) struct Along<A, V> {
    context: [u8; RawHandle::LEN],
    item: V,
    argument: PhantomData<fn(A)>,
}

/// So much of a handle stands before an item: what follows in it is zero for an object that has a segment of its own. A number
/// behind it lies in the queue's ring with it.
const SHORT: usize = 24;

/// Where the item begins, aligned as its type demands.
const fn head<A: Message>() -> usize {
    assert!(A::ALIGN <= 16, "what a pool carries is aligned to 16 bytes");
    if A::ALIGN <= 8 { SHORT } else { RawHandle::LEN }
}

/// The items, each with the context, which the caller keeps until all are settled.
pub(super) fn each_with<C, A, I>(
    context: &Context<C>,
    items: I,
) -> impl Iterator<Item = Along<A, I::Item>> + use<C, A, I>
where
    C: Message,
    A: Message,
    I: Iterator<Item: Encode<A>>,
{
    let context = context.to_raw().to_bytes();
    items.map(move |item| Along {
        context,
        item,
        argument: PhantomData,
    })
}

impl<A: Message, V: Encode<A>> Encode<Frame> for Along<A, V> {
    #[inline]
    fn guess(&self) -> usize {
        self.item.guess() + const { head::<A>() }
    }

    #[inline]
    fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
        let begin = const { head::<A>() };
        let (head, rest) = room.split_at_mut(room.len().min(begin));
        let len = self.item.encode(rest).map_err(|error| match error {
            WriteError::Overflow(needed) => WriteError::Overflow(needed + begin),
            other => other,
        })?;
        copy_bytes(&self.context[..begin], head)?;
        Ok(begin + len)
    }
}

/// Runs `function` on the item in these bytes, beside the context that they name.
pub(super) fn run_along<F, C, A, Kind>(function: F, desk: &Desk<'_>, bytes: &[u8])
where
    F: JobWith<C, A, Kind>,
    C: Message,
    A: Message,
{
    let Some((head, item)) = bytes.split_at_checked(const { head::<A>() }) else {
        let text = "an item came without its context";
        return desk.fail(&Error::new(ErrorKind::Corrupt, text));
    };
    let mut context = [0; RawHandle::LEN];
    context[..head.len()].copy_from_slice(head);
    match known::<C>(&RawHandle::from_bytes(&context)) {
        Ok(context) => function.run_with(desk, &context, item),
        Err(error) => desk.fail(&error),
    }
}

thread_local! {
    /// The contexts that this worker's tasks had of late, the latest first, each with its segment.
    static KNOWN: RefCell<Vec<(u64, Box<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// So many at most.
const MOST: usize = 8;

/// The context that lies there, attached if it is not yet.
fn known<C: Message>(raw: &RawHandle) -> Result<Context<C>> {
    let find = |known: &mut Vec<(u64, Box<dyn Any>)>| {
        let at = known.iter().position(|&(id, _)| id == raw.segment)?;
        known[..=at].rotate_right(1);
        known[0].1.downcast_ref::<Context<C>>().cloned()
    };
    if let Some(context) = KNOWN.with_borrow_mut(find) {
        return Ok(context);
    }
    let context = Context::<C>::attach(raw)?;
    let entry: (u64, Box<dyn Any>) = (raw.segment, Box::new(context.clone()));
    let oldest = KNOWN.with_borrow_mut(|known| {
        let oldest = (known.len() == MOST).then(|| known.pop());
        known.insert(0, entry);
        oldest
    });
    drop(oldest); // outside of the borrow
    Ok(context)
}

/// Whether this worker has any.
pub(super) fn has_any() -> bool {
    KNOWN.with_borrow(|known| !known.is_empty())
}

/// Lets go of them: whoever else had them may have, and then their memory is free.
pub(super) fn forget() {
    drop(KNOWN.take());
}
