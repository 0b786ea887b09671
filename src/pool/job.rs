//! What a worker can do with one item: a function that takes it as a value of its own, or reads it where it lies.

use std::fmt;
use std::ops::Deref;

use super::desk::Desk;
use crate::message::Message;
use crate::process::{Outcome, caught};
use crate::{Error, Result};

/// The argument of a function that a [`Pool`](super::Pool) runs, read in place: it derefs to the argument's
/// [view](Message::View).
///
/// A function that takes `In<A>` in place of `A` is given the argument where its parent has written it: nothing is copied,
/// however long it is.
///
/// # Examples
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// use multiproc::{Bytes, In, Pool};
///
/// fn count_zeros(bytes: In<'_, Bytes>) -> u64 {
///     bytes.iter().filter(|byte| **byte == 0).count() as u64
/// }
///
/// let pool = Pool::new(2)?;
/// let megabyte = vec![0; 1 << 20];
/// assert_eq!(pool.map(count_zeros, [&megabyte[..], b"none"])?, [1 << 20, 0]);
/// # Ok(())
/// # }
/// ```
pub struct In<'a, A: Message>(&'a A::View);

impl<'a, A: Message> In<'a, A> {
    pub(super) fn new(view: &'a A::View) -> Self {
        In(view)
    }
}

impl<A: Message> Clone for In<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Message> Copy for In<'_, A> {}

impl<A: Message> Deref for In<'_, A> {
    type Target = A::View;

    #[inline]
    fn deref(&self) -> &A::View {
        self.0
    }
}

impl<A: Message> In<'_, A> {
    /// The argument as an ordinary value; handles in it are attached.
    ///
    /// # Errors
    ///
    /// When a handle cannot be attached because its object is gone.
    pub fn to_owned(&self) -> Result<A> {
        A::to_owned(self.0)
    }
}

impl<A: Message<View: fmt::Debug>> fmt::Debug for In<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A function that a [`Pool`](super::Pool) can run on items `A`: every function, and every closure that captures nothing, that
/// takes an `A` or an [`In<A>`](In) and returns what an [entry function](crate::process::Entry) may return.
///
/// `Kind` says which; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run by a pool on items `{A}`",
    label = "not a function of one such argument",
    note = "a pool runs functions, and closures that capture nothing, of one message: by value, or as `In<'_, T>`",
    note = "for several arguments there is `starmap`"
)]
pub trait Job<A, Kind>: Copy + 'static {
    /// What comes of an item.
    type Return: Message;

    /// Runs the function on the item that lies in these bytes.
    ///
    /// # Errors
    ///
    /// What the function says, or what attaching a handle in the item does.
    #[doc(hidden)]
    fn call(self, desk: &Desk<'_>, bytes: &[u8]) -> Result<Self::Return>;
}

/// The argument is the function's own.
#[doc(hidden)]
#[derive(Debug)]
pub struct Owned<Kind>(std::marker::PhantomData<Kind>);

/// The argument is read where it lies.
#[doc(hidden)]
#[derive(Debug)]
pub struct InPlace<Kind>(std::marker::PhantomData<Kind>);

impl<F, A, O, Kind> Job<A, Owned<Kind>> for F
where
    F: Fn(A) -> O + Copy + 'static,
    A: Message,
    O: Outcome<Kind>,
{
    type Return = O::Value;

    #[inline]
    fn call(self, desk: &Desk<'_>, bytes: &[u8]) -> Result<O::Value> {
        self(desk.arguments::<A>(bytes)?).settle()
    }
}

impl<F, A, O, Kind> Job<A, InPlace<Kind>> for F
where
    F: for<'a> Fn(In<'a, A>) -> O + Copy + 'static,
    A: Message,
    O: Outcome<Kind>,
{
    type Return = O::Value;

    #[inline]
    fn call(self, desk: &Desk<'_>, bytes: &[u8]) -> Result<O::Value> {
        self(In::new(desk.view::<A>(bytes))).settle()
    }
}

/// Runs the task and answers with what comes of it.
pub(super) fn answer<R: Message>(
    desk: &Desk<'_>,
    task: impl FnOnce() -> std::result::Result<R, Error>,
) {
    match caught(task) {
        Ok(Ok(value)) => desk.give(&value),
        Ok(Err(error)) => desk.fail(&error),
        Err(panic) => desk.panicked(panic),
    }
}
