//! What the models of this floor have in common: how far they are explored, and threads that act on something shared.

use crate::sys::robust;
use loom::sync::Arc;
use loom::thread;

/// Explores `model` with up to two preemptions, or as many as the environment says.
pub(super) fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

/// With so many preemptions at least, whatever the others get.
pub(super) fn check_up_to(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let asked = builder.preemption_bound.unwrap_or(preemptions);
    builder.preemption_bound = Some(asked.max(preemptions));
    builder.check(model);
}

/// Another thread, at work on `shared`.
pub(super) fn actor<S: 'static, R: 'static>(
    shared: &Arc<S>,
    act: impl FnOnce(&S) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || act(&shared))
}

/// The same with a list of robust locks of its own, in the name of the participant `who`.
pub(super) fn actor_as<S: 'static, R: 'static>(
    shared: &Arc<S>,
    who: u16,
    act: impl FnOnce(&S) -> R + 'static,
) -> thread::JoinHandle<R> {
    actor(shared, move |shared| {
        robust::enter(u32::from(who));
        act(shared)
    })
}
