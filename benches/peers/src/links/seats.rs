//! Ends that were made in pairs, before the workers that take them.

use std::sync::Mutex;

use super::link::crossed;

/// One end for each of two workers.
#[derive(Debug)]
pub struct Seats<T>([Mutex<Option<T>>; 2]);

impl<S, R> Seats<(S, R)> {
    /// Gives worker 0 the sender of the first channel and the receiver of the second, and worker 1 the others.
    pub fn of([there, back]: [(S, R); 2]) -> Self {
        Self([(there.0, back.1), (back.0, there.1)].map(|ends| Mutex::new(Some(ends))))
    }

    /// The end of `worker`, who takes it once.
    ///
    /// # Panics
    ///
    /// When it has been taken.
    pub fn take(&self, worker: usize) -> (S, R) {
        let (own, _) = crossed(worker, self.0.each_ref());
        let taken = own.lock().expect("nobody panicked").take();
        taken.expect("each worker takes its end once")
    }
}
