//! Ctrl-C and termination.
//!
//! Alone, the program just ends, with the exit status that shells give to it. While it has children it ends them first.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What is done about a signal that asks the program to end.
#[derive(Clone, Debug)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on such a signal ends the program with 128 plus its number.
    ///
    /// # Errors
    ///
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let at_once = Arc::new(AtomicBool::new(true));
        for number in [SIGINT, SIGTERM] {
            // The actions run in this order: a first signal that was deferred makes the second one end the program.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&at_once))?;
            flag::register(number, Arc::clone(&at_once))?;
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
        }
        Ok(Interrupt { signal, at_once })
    }

    /// Only takes note of a signal until the result is dropped; the second signal still ends the program.
    pub fn defer(&self) -> Deferred<'_> {
        // Relaxed: handlers run in this process, and nothing else is published by the flag.
        self.at_once.store(false, Ordering::Relaxed);
        Deferred(self)
    }
}

/// The time during which a signal is only noted.
#[derive(Debug)]
pub struct Deferred<'a>(&'a Interrupt);

impl Deferred<'_> {
    /// The exit status to end with, once a signal came: 130 for Ctrl-C, 143 for termination.
    pub fn status(&self) -> Option<u8> {
        // Relaxed: the number is all there is to know.
        match self.0.signal.load(Ordering::Relaxed) {
            0 => None,
            number => Some(128 + number as u8),
        }
    }
}

impl Drop for Deferred<'_> {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::Relaxed);
    }
}
