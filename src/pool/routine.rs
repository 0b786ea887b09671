//! The functions that workers run: how one is named across processes, and what running it does there.

use std::any::type_name;
use std::ptr::NonNull;

use super::alongside::{JobWith, run_along};
use super::desk::Desk;
use super::fold::{Step, run_fold, run_reduce};
use super::job::{Job, answer};
use crate::message::Message;
use crate::process::Entry;
use crate::sys::image::Image;
use crate::{Error, ErrorKind, Result};

/// Runs one particular function with the arguments in these bytes, and answers.
pub(super) type Routine = fn(&Desk<'_>, &[u8]);

/// The name of a function of one argument for the workers.
pub(super) fn of_one<F, A, Kind>(_job: F) -> Result<u64>
where
    F: Job<A, Kind>,
{
    check::<F>();
    name::<F>(run_with_one::<F, A, Kind> as Routine as usize)
}

/// The name of a function of one argument beside a context.
pub(super) fn of_one_with<F, C, A, Kind>(_job: F) -> Result<u64>
where
    F: JobWith<C, A, Kind>,
    C: Message,
    A: Message,
{
    check::<F>();
    name::<F>(run_with_context::<F, C, A, Kind> as Routine as usize)
}

/// The name of a fold.
pub(super) fn of_fold<N, F, S, A, Kind>(_init: N, _step: F) -> Result<u64>
where
    N: Fn() -> S + Copy + 'static,
    F: Step<S, A, Kind>,
    S: Message,
{
    check::<N>();
    check::<F>();
    name::<F>(fold::<N, F, S, A, Kind> as Routine as usize)
}

/// The name of a function of one argument, and of what combines its results.
pub(super) fn of_reduce<F, C, A, Kind>(_job: F, _combine: C) -> Result<u64>
where
    F: Job<A, Kind>,
    C: Fn(F::Return, F::Return) -> F::Return + Copy + 'static,
{
    check::<F>();
    check::<C>();
    name::<F>(reduce::<F, C, A, Kind> as Routine as usize)
}

/// The name of a function of which the arguments come as a tuple.
pub(super) fn of_many<F, Args, Kind>(_entry: F) -> Result<u64>
where
    F: Entry<Args, Kind>,
    Args: Message,
{
    check::<F>();
    name::<F>(run_with_many::<F, Args, Kind> as Routine as usize)
}

const fn check<F>() {
    const {
        assert!(
            size_of::<F>() == 0,
            "a closure that captures something, or a function pointer, cannot run in a worker: name the function itself \
             and pass what it needs as an argument"
        );
    }
}

fn image() -> Result<&'static Image> {
    Image::own().map_err(|cause| Error::os("cannot examine the own image", cause))
}

fn name<F>(address: usize) -> Result<u64> {
    image()?.offset_of(address).ok_or_else(|| {
        let text = format!(
            "{} lies in a dynamic library; only functions of the executable itself can run in workers",
            type_name::<F>()
        );
        Error::new(ErrorKind::Unsupported, text)
    })
}

/// The routine of that name; `None` for what is no code of this program.
pub(super) fn find(name: u64) -> Option<Routine> {
    let image = Image::own().ok()?;
    // SAFETY: worker and parent are of one build, which starting a child checks, and there `name` made the offset from a
    // `Routine`.
    unsafe { image.function_at(name) }
}

/// The most that a task can be begun again.
pub(super) const MOST_AGAIN: u32 = 100;

/// Runs what every worker begins with.
pub(super) type Initializer = fn() -> Result<()>;

/// The name of a function without arguments, to be run by each worker before anything else.
pub(super) fn of_initializer<F, Kind>(_entry: F) -> Result<u64>
where
    F: Entry<(), Kind>,
{
    check::<F>();
    name::<F>(initialize::<F, Kind> as Initializer as usize)
}

/// The initializer of that name; `None` for what is no code of this program.
pub(super) fn find_initializer(name: u64) -> Option<Initializer> {
    let image = Image::own().ok()?;
    // SAFETY: as in `find`; there `of_initializer` made the offset from an `Initializer`.
    unsafe { image.function_at(name) }
}

fn initialize<F: Entry<(), Kind>, Kind>() -> Result<()> {
    function::<F>().call(()).map(drop)
}

fn run_with_one<F, A, Kind>(desk: &Desk<'_>, bytes: &[u8])
where
    F: Job<A, Kind>,
{
    answer(desk, || function::<F>().call(desk, bytes));
}

fn run_with_context<F, C, A, Kind>(desk: &Desk<'_>, bytes: &[u8])
where
    F: JobWith<C, A, Kind>,
    C: Message,
    A: Message,
{
    run_along::<F, C, A, Kind>(function::<F>(), desk, bytes);
}

fn fold<N, F, S, A, Kind>(desk: &Desk<'_>, bytes: &[u8])
where
    N: Fn() -> S + Copy + 'static,
    F: Step<S, A, Kind>,
    S: Message,
{
    run_fold(function::<N>(), function::<F>(), desk, bytes);
}

fn reduce<F, C, A, Kind>(desk: &Desk<'_>, bytes: &[u8])
where
    F: Job<A, Kind>,
    C: Fn(F::Return, F::Return) -> F::Return + Copy + 'static,
{
    run_reduce(function::<F>(), function::<C>(), desk, bytes);
}

fn run_with_many<F, Args, Kind>(desk: &Desk<'_>, bytes: &[u8])
where
    F: Entry<Args, Kind>,
    Args: Message,
{
    match desk.arguments::<Args>(bytes) {
        Ok(arguments) => answer(desk, || function::<F>().call(arguments)),
        Err(error) => desk.fail(&error),
    }
}

/// The function itself, in the worker.
fn function<F: Copy>() -> F {
    const { check::<F>() };
    // SAFETY: F is zero-sized (`check`), so nothing is read; it is Copy and was passed by value in the parent, so that making
    // another one is allowed.
    unsafe { NonNull::<F>::dangling().read() }
}
