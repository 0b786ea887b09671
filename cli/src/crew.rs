//! The workers' processes: started, watched, killed, replaced.

use multiproc::{ErrorKind, Process, Queue, Result};

use crate::record::{Partial, Record};
use crate::worker::{Pace, work};

/// Workers that die one after the other without any result in between, other than by our hand, end the job.
const HOPELESS: u64 = 100;

/// A fixed number of places, each with a worker.
#[derive(Debug)]
pub struct Crew {
    records: Queue<Record>,
    results: Queue<Partial>,
    pace: Pace,
    workers: Vec<Process<()>>,
    /// How many were killed, by place.
    pub kills: Vec<u64>,
    in_vain: u64,
}

impl Crew {
    /// Starts a worker for every place.
    ///
    /// # Errors
    ///
    /// When a process cannot be started.
    pub fn start(
        records: &Queue<Record>,
        results: &Queue<Partial>,
        places: u32,
        pace: Pace,
    ) -> Result<Self> {
        let mut crew = Crew {
            records: records.clone(),
            results: results.clone(),
            pace,
            workers: Vec::new(),
            kills: vec![0; places as usize],
            in_vain: 0,
        };
        for seat in 0..places {
            let worker = crew.worker(seat)?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    /// How many were killed in all.
    pub fn killed(&self) -> u64 {
        self.kills.iter().sum()
    }

    /// Kills the worker of a place, and starts another.
    ///
    /// # Errors
    ///
    /// When it failed just before, or another cannot be started.
    pub fn kill(&mut self, seat: usize) -> Result<()> {
        self.workers[seat].kill()?;
        let ended = self.workers[seat].join();
        self.replace(seat, ended)
    }

    /// Looks after workers that ended: one that was killed is replaced.
    ///
    /// # Errors
    ///
    /// When one failed in another way, or they keep dying.
    pub fn tend(&mut self) -> Result<()> {
        for seat in 0..self.workers.len() {
            if let Some(ended) = self.workers[seat].try_join().transpose() {
                self.in_vain += 1;
                self.replace(seat, ended)?;
            }
        }
        if self.in_vain < HOPELESS {
            return Ok(());
        }
        let text = format!("{HOPELESS} workers were killed one after the other, none by --chaos");
        Err(multiproc::Error::new(ErrorKind::Signaled, text))
    }

    /// There was a result: dying was not in vain.
    pub fn made_progress(&mut self) {
        self.in_vain = 0;
    }

    /// Waits until every worker has ended, after the queue was closed; one killed on its way out had nothing left to do.
    ///
    /// # Errors
    ///
    /// When one failed.
    pub fn finish(&mut self) -> Result<()> {
        for (worker, kills) in self.workers.iter().zip(&mut self.kills) {
            match worker.join() {
                Err(error) if error.kind() == ErrorKind::Signaled => *kills += 1,
                ended => ended?,
            }
        }
        Ok(())
    }

    /// Ends all workers.
    pub fn stop(&self) {
        for worker in &self.workers {
            // It may have ended already; then there is nothing to do.
            let _ = worker.kill();
        }
        for worker in &self.workers {
            let _ = worker.join();
        }
    }

    fn replace(&mut self, seat: usize, ended: Result<()>) -> Result<()> {
        match ended {
            Err(error) if error.kind() == ErrorKind::Signaled => {
                self.kills[seat] += 1;
                self.workers[seat] = self.worker(seat as u32)?;
                Ok(())
            }
            // The queue was closed: the work is done.
            Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn worker(&self, seat: u32) -> Result<Process<()>> {
        let arguments = (self.records.clone(), self.results.clone(), seat, self.pace);
        let builder = Process::builder()
            .name(format!("worker-{seat}"))
            .daemon(true);
        builder
            .stdin(multiproc::Stdio::null())
            .spawn(work, arguments)
    }
}
