//! The processes of one run: started, watched, brought home, and ended however the run ends.

use std::fs::File;
use std::time::{Duration, Instant};

use multiproc::process::{Builder, Entry};
use multiproc::{Error, ErrorKind, Message, Process, Result};

use super::page::Shared;
use super::report::Report;
use super::sys::{self, Mapping};
use crate::interrupt::Deferred;
use crate::job::Ended;

/// How long the parent sleeps between two looks at signals and at children that failed.
const TICK: Duration = Duration::from_millis(50);
/// A run that takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(120);

multiproc::message! {
    /// A process's place in its crew.
    #[derive(Clone, Copy, Debug)]
    pub struct Seat {
        /// Its number.
        pub worker: u32,
        /// How many there are.
        pub parties: u32,
        /// The processor that is its own.
        pub cpu: u32,
    }
}

impl Seat {
    /// What each process does first: ties itself to its processor, and maps the page of the crew.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn take(self) -> Result<Shared> {
        let refused = |error: std::io::Error| Error::new(ErrorKind::Os, error.to_string());
        sys::pin(self.cpu).map_err(refused)?;
        Shared::inherited().map_err(refused)
    }
}

/// Processes that were started and not joined yet.
#[derive(Debug)]
pub struct Crew {
    cpus: Vec<u32>,
    parties: u32,
    page: File,
    workers: Vec<Process<Report>>,
}

impl Crew {
    /// Nobody yet, of so many; worker `i` gets processor `i` of these.
    ///
    /// # Errors
    ///
    /// When there is no memory for their page.
    pub fn new(cpus: Vec<u32>, parties: usize) -> Result<Self> {
        let page = Mapping::file().map_err(|e| Error::new(ErrorKind::NoSpace, e.to_string()))?;
        Ok(Crew {
            cpus,
            parties: parties as u32,
            page,
            workers: Vec::new(),
        })
    }

    /// Starts the next worker; `arguments` makes its arguments from its seat.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn hire<F, Args, Kind>(
        &mut self,
        entry: F,
        arguments: impl FnOnce(Seat) -> Args,
    ) -> Result<()>
    where
        F: Entry<Args, Kind, Return = Report>,
        Args: Message,
    {
        let (seat, builder) = self.next()?;
        self.workers.push(builder.spawn(entry, arguments(seat))?);
        Ok(())
    }

    /// The next worker's place, and how it is to run.
    fn next(&self) -> Result<(Seat, Builder)> {
        let worker = self.workers.len();
        let seat = Seat {
            worker: worker as u32,
            parties: self.parties,
            cpu: self.cpus[worker],
        };
        let page = self.page.try_clone();
        let page = page.map_err(|error| Error::new(ErrorKind::Os, error.to_string()))?;
        let builder = Process::builder().name(format!("bench-{worker}"));
        Ok((seat, builder.daemon(true).stdin(page)))
    }

    /// Waits for all, and returns their reports in order.
    ///
    /// # Errors
    ///
    /// When one failed, a signal asked for the end, or they are stuck: then none is left.
    pub fn join(self, signals: &Deferred<'_>) -> std::result::Result<Vec<Report>, Ended> {
        let deadline = Instant::now() + LIMIT;
        let mut reports = Vec::with_capacity(self.workers.len());
        while let Some(worker) = self.workers.get(reports.len()) {
            match worker.join_timeout(TICK) {
                Ok(report) => reports.push(report),
                Err(error) if error.kind() != ErrorKind::Timeout => {
                    return Err(Ended::Failed(error));
                }
                Err(stuck) if Instant::now() > deadline => return Err(Ended::Failed(stuck)),
                Err(_) => self.look_after()?,
            }
            if let Some(status) = signals.status() {
                return Err(Ended::Interrupted(status));
            }
        }
        Ok(reports)
    }

    /// Whoever waits for one that failed would wait for long.
    fn look_after(&self) -> Result<()> {
        self.workers
            .iter()
            .try_for_each(|worker| worker.try_join().map(drop))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &self.workers {
            // It may have ended already, and been joined; then there is nothing to do.
            let _ = worker.kill();
        }
        for worker in &self.workers {
            let _ = worker.join();
        }
    }
}
