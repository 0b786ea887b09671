//! Where calls come to the object.

use super::{ConcurrentService, Service};
use crate::process::text_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// What comes of a call whose turn has come: the reply, or what the method panicked with.
pub(super) type Ran<S> = Result<<S as Service>::Reply, String>;

/// The object, and who may be at it.
pub(super) trait Counter<S: Service + ?Sized>: Send + Sync {
    /// Runs a method when its turn comes, unless nobody wants it any more by then.
    fn run(&self, request: S::Request, wanted: &dyn Fn() -> bool) -> Option<Ran<S>>;
}

/// One call after the other.
pub(super) struct OneAtATime<S: Service + ?Sized>(Mutex<Box<S::Object>>);

/// All that come, at the same time.
pub(super) struct Together<S: ConcurrentService + ?Sized>(Box<S::Shared>);

impl<S: Service + ?Sized> OneAtATime<S> {
    pub(super) fn new(object: Box<S::Object>) -> Self {
        OneAtATime(Mutex::new(object))
    }
}

impl<S: ConcurrentService + ?Sized> Together<S> {
    pub(super) fn new(object: Box<S::Shared>) -> Self {
        Together(object)
    }
}

impl<S: Service + ?Sized> Counter<S> for OneAtATime<S> {
    fn run(&self, request: S::Request, wanted: &dyn Fn() -> bool) -> Option<Ran<S>> {
        // Panics are caught below: nothing poisons it.
        let mut object = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted().then(|| caught(|| S::run(&mut object, request)))
    }
}

impl<S: ConcurrentService + ?Sized> Counter<S> for Together<S> {
    fn run(&self, request: S::Request, wanted: &dyn Fn() -> bool) -> Option<Ran<S>> {
        wanted().then(|| caught(|| S::run_shared(&self.0, request)))
    }
}

/// What is half changed is told: the caller learns of the panic, and [`serve`](crate::Manager::serve) says what it means.
fn caught<R>(method: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(method)).map_err(|payload| text_of(&*payload))
}
