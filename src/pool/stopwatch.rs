//! For how long a worker has had its present task, as its parent can see: for those that may take only so long.

use std::cell::RefCell;

use crate::sys::clock::now_ns;
use crate::value::Value;

/// When the present task was begun, by the clock that all processes have in common, or one of these two.
pub(super) type Since = Value<u64>;

/// Nobody wants to know.
const UNWATCHED: u64 = 0;
/// There is no task.
const IDLE: u64 = 1;

thread_local! {
    /// That of this worker, for tasks that begin several times.
    static WATCH: RefCell<Option<Since>> = const { RefCell::new(None) };
}

/// Makes it that of this worker.
pub(super) fn wear(watch: &Since) {
    WATCH.set(Some(watch.clone()));
}

/// A task begins; whether anybody wants to know.
#[inline]
pub(super) fn start(watch: &Since) -> bool {
    let watched = watch.load() != UNWATCHED;
    if watched {
        watch.store(now_ns());
    }
    watched
}

/// The task whose beginning somebody wanted to know is over.
pub(super) fn stop(watch: &Since) {
    watch.store(IDLE);
}

/// The next part of a task begins, which may take as long as the one before.
#[inline]
pub(super) fn lap() {
    WATCH.with_borrow(|watch| watch.as_ref().is_some_and(start));
}

/// In the parent: makes the worker that comes to this place say when its tasks begin, or not.
pub(super) fn reset(watch: &Since, watched: bool) {
    watch.store(if watched { IDLE } else { UNWATCHED });
}

/// In the parent: has the worker say when its tasks begin, from the next one on.
pub(super) fn ask(watch: &Since) {
    // A worker that says so already is not to be disturbed.
    let _ = watch.compare_exchange(UNWATCHED, IDLE);
}

/// In the parent: when the present task was begun, if there is one and the worker said so.
pub(super) fn read(watch: &Since) -> Option<u64> {
    Some(watch.load()).filter(|&since| since > IDLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_watched_from_the_next_on() {
        let watch = Since::new(UNWATCHED).unwrap();
        assert!(!start(&watch));
        ask(&watch);
        assert_eq!(read(&watch), None);
        assert!(start(&watch));
        let since = read(&watch).unwrap();
        assert!(since <= now_ns());
        ask(&watch);
        assert_eq!(read(&watch), Some(since), "it is watched already");
        wear(&watch);
        lap();
        assert!(read(&watch).unwrap() >= since);
        stop(&watch);
        assert_eq!(read(&watch), None);
        reset(&watch, false);
        assert!(!start(&watch));
    }
}
