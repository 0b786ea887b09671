//! Entry functions: what may be run in another process, and how one is named across `exec`.

use std::any::type_name;
use std::ptr::NonNull;

use super::arrival::Arrival;
use super::report::Report;
use crate::message::{Message, Packed};
use crate::sys::image::Image;
use crate::{Error, ErrorKind, Result};

/// A function that can run in another process, with arguments `Args`.
///
/// Every function and every closure that captures nothing is one, if its arguments (up to eight) are messages and if it
/// returns
///
/// - a [`Message`], `()` included,
/// - [`multiproc::Result`](crate::Result) of one,
/// - [`std::io::Result`] of one, or
/// - `Result<_, Box<dyn std::error::Error + Send + Sync>>` of one.
///
/// `Kind` says which; it is always inferred.
///
/// A closure that captures something cannot cross into another process, and does not compile:
///
/// ```compile_fail
/// # fn main() -> multiproc::Result<()> {
/// let captured = 5_u64;
/// multiproc::Process::spawn(move || captured, ())?.join()?;
/// # Ok(())
/// # }
/// ```
///
/// Pass what it needs as an argument instead:
///
/// ```
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let captured = 5_u64;
/// let process = multiproc::Process::spawn(|given: u64| given + 1, (captured,))?;
/// assert_eq!(process.join()?, 6);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run in another process with the arguments `{Args}`",
    label = "not an entry function for these arguments",
    note = "an entry is a function, or a closure that captures nothing, of at most 8 arguments",
    note = "pass its arguments as a tuple of messages: `()`, `(a,)`, `(a, b)`, ..."
)]
pub trait Entry<Args, Kind>: Copy + 'static {
    /// The value that [`join`](super::Process::join) gives.
    type Return: Message;

    /// Calls the function.
    #[doc(hidden)]
    fn call(self, args: Args) -> Result<Self::Return, Error>;
}

/// What an entry function may return.
#[diagnostic::on_unimplemented(
    message = "an entry function cannot return `{Self}`",
    label = "cannot cross back to the parent",
    note = "return a message, or a `Result` of one with `multiproc::Error`, `std::io::Error` or \
            `Box<dyn std::error::Error + Send + Sync>`"
)]
#[doc(hidden)]
pub trait Outcome<Kind> {
    /// What crosses when all went well.
    type Value: Message;

    /// Makes one form of all.
    fn settle(self) -> Result<Self::Value, Error>;
}

/// The kinds of entry functions, by what they return; they only steer inference.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plain;
#[doc(hidden)]
#[derive(Debug)]
pub struct Fallible<E>(std::marker::PhantomData<E>);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl<R: Message> Outcome<Plain> for R {
    type Value = R;

    fn settle(self) -> Result<R, Error> {
        Ok(self)
    }
}

impl<R: Message> Outcome<Fallible<Error>> for Result<R, Error> {
    type Value = R;

    fn settle(self) -> Result<R, Error> {
        self
    }
}

impl<R: Message> Outcome<Fallible<std::io::Error>> for Result<R, std::io::Error> {
    type Value = R;

    fn settle(self) -> Result<R, Error> {
        self.map_err(|error| failed(error.into()))
    }
}

impl<R: Message> Outcome<Fallible<AnyError>> for Result<R, AnyError> {
    type Value = R;

    fn settle(self) -> Result<R, Error> {
        self.map_err(|error| match error.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => failed(other),
        })
    }
}

fn failed(error: AnyError) -> Error {
    let Report::Failed { kind, text } = Report::failed(ErrorKind::Failed, &*error) else {
        unreachable!("`failed` makes a failure");
    };
    Error::new(kind, text)
}

macro_rules! entries {
    ($($arg:ident)*) => {
        impl<F, O, Kind, $($arg),*> Entry<($($arg,)*), Kind> for F
        where
            F: Fn($($arg),*) -> O + Copy + 'static,
            O: Outcome<Kind>,
        {
            type Return = O::Value;

            #[allow(non_snake_case)]
            fn call(self, ($($arg,)*): ($($arg,)*)) -> Result<O::Value, Error> {
                self($($arg),*).settle()
            }
        }
    };
}

entries!();
entries!(A);
entries!(A B);
entries!(A B C);
entries!(A B C D);
entries!(A B C D E);
entries!(A B C D E G);
entries!(A B C D E G H);
entries!(A B C D E G H I);

/// Runs one particular entry in the child: unpacks its arguments, calls it, packs its value.
pub(super) type Trampoline = fn(Arrival<'_>, Packed) -> Report;

/// The name of an entry function for another process of the same build.
pub(super) fn name_of<F, Args, Kind>(_entry: F) -> Result<u64>
where
    F: Entry<Args, Kind>,
    Args: Message,
{
    const {
        assert!(
            size_of::<F>() == 0,
            "a closure that captures something, or a function pointer, cannot run in another process: \
             name the function itself and pass what it needs as arguments"
        );
    }
    let trampoline: Trampoline = run::<F, Args, Kind>;
    let image = Image::own().map_err(|cause| Error::os("cannot examine the own image", cause))?;
    image.offset_of(trampoline as usize).ok_or_else(|| {
        let text = format!(
            "{} lies in a dynamic library; only functions of the executable itself can be entries",
            type_name::<F>()
        );
        Error::new(ErrorKind::Unsupported, text)
    })
}

/// The trampoline of an entry: in the child, found again by its offset.
fn run<F, Args, Kind>(arrival: Arrival<'_>, args: Packed) -> Report
where
    F: Entry<Args, Kind>,
    Args: Message,
{
    // SAFETY: F is zero-sized (asserted in `name_of`, the only place that names this trampoline), so nothing is read; it
    // is Copy and was passed by value in the parent, so that making another one is allowed.
    let entry = unsafe { NonNull::<F>::dangling().read() };
    let args = match args.unpack::<Args>() {
        Ok(args) => args,
        Err(error) => return Report::of_error(&error),
    };
    arrival.attached();
    match entry.call(args).and_then(|value| Packed::new(&value)) {
        Ok(packed) => Report::Returned(packed),
        Err(error) => Report::of_error(&error),
    }
}
