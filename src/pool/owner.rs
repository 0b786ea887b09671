//! Whose a pool is: the last of its handles ends it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::hub::Hub;
use crate::process::Finish;

/// What all handles of a pool share. Dropping it waits until all tasks are done, and the workers have ended.
pub(super) struct Owner {
    pub(super) hub: Arc<Hub>,
    pub(super) workers: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Owner {
    pub(super) fn new(hub: Arc<Hub>, workers: usize, thread: JoinHandle<()>) -> Self {
        Owner {
            hub,
            workers,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// No more tasks are taken.
    pub(super) fn close(&self) {
        self.hub.lock().close();
    }

    /// Waits until all tasks are over and all workers have ended.
    pub(super) fn join(&self) {
        self.hub.wait(None, |crew| crew.outstanding() == 0);
        self.hub.lock().dismiss();
        self.hub.wait(None, |crew| crew.is_over());
        self.hub.retire();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Finish for Owner {
    fn finish(&self) {
        if self.hub.is_mine() {
            self.close();
            self.join();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.finish();
    }
}
