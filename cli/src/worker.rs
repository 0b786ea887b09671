//! A worker process: leases records, counts them in place, reports, and only then acknowledges.
//!
//! What a worker must keep to so that the totals are exact stands in `aggregate`.

use std::time::Duration;

use multiproc::{GetTimeoutError, Lease, Queue};

use crate::clock::{Meter, now_ns};
use crate::count::Counter;
use crate::record::{Partial, Record};

/// How long to wait for another record before what was counted is reported.
const IDLE: Duration = Duration::from_millis(1);
/// How long to wait when there is nothing to report.
const FOREVER: Duration = Duration::from_secs(3600);
/// Bytes counted after which a report is due, because they are held in shared memory until then.
const MOST_BYTES: u64 = 64 << 20;
/// Different words after which a report is due, so that it stays small.
const MOST_WORDS: usize = 1 << 18;

multiproc::message! {
    /// When a worker reports.
    #[derive(Clone, Copy, Debug)]
    pub struct Pace {
        /// After so many records.
        pub records: u32,
        /// After so long, in nanoseconds.
        pub time_ns: u64,
    }
}

/// Counts records until the queue is closed.
///
/// # Errors
///
/// When a queue fails; what was not reported goes back.
pub fn work(
    records: Queue<Record>,
    results: Queue<Partial>,
    seat: u32,
    pace: Pace,
) -> multiproc::Result<()> {
    let mut worker = Worker {
        outbox: Outbox {
            results,
            partial: Partial {
                seat,
                ..Partial::default()
            },
            meter: Meter::new(),
        },
        records,
        pace,
        common: Batch::new(),
        lone: Batch::new(),
    };
    while worker.step()? {}
    Ok(())
}

struct Worker {
    records: Queue<Record>,
    pace: Pace,
    /// Records delivered for the first time: they are reported together.
    common: Batch,
    /// A record delivered again: it is reported alone.
    lone: Batch,
    outbox: Outbox,
}

impl Worker {
    /// Takes and counts one record, or reports when there is none; says whether to go on.
    fn step(&mut self) -> multiproc::Result<bool> {
        let patience = if self.common.is_empty() {
            FOREVER
        } else {
            IDLE
        };
        match self
            .outbox
            .meter
            .queue(|| self.records.lease_timeout(patience))
        {
            Ok(lease) => self.count(lease)?,
            Err(GetTimeoutError::Timeout) => self.outbox.send(&mut self.common)?,
            Err(_) => {
                self.outbox.send(&mut self.common)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count(&mut self, lease: Lease<Record>) -> multiproc::Result<()> {
        if lease.delivery_count() > 1 {
            self.lone.count(lease);
            return self.outbox.send(&mut self.lone);
        }
        self.common.count(lease);
        if self.common.is_due(&self.pace) {
            self.outbox.send(&mut self.common)?;
        }
        Ok(())
    }
}

/// Records counted and not reported yet.
struct Batch {
    leases: Vec<Lease<Record>>,
    waits_ns: Vec<u64>,
    counter: Counter,
    since_ns: u64,
}

impl Batch {
    fn new() -> Self {
        Batch {
            leases: Vec::new(),
            waits_ns: Vec::new(),
            counter: Counter::new(),
            since_ns: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    fn count(&mut self, lease: Lease<Record>) {
        let taken_ns = now_ns();
        if self.is_empty() {
            self.since_ns = taken_ns;
        }
        self.waits_ns
            .push(taken_ns.saturating_sub(lease.put_ns.to_native()));
        self.counter.count(&lease.block);
        self.leases.push(lease);
    }

    fn is_due(&self, pace: &Pace) -> bool {
        self.leases.len() >= pace.records as usize
            || self.counter.tally.bytes >= MOST_BYTES
            || self.counter.table.len() >= MOST_WORDS
            || now_ns() - self.since_ns >= pace.time_ns
    }
}

/// Where reports leave.
struct Outbox {
    results: Queue<Partial>,
    /// The report being written, whose memory is used again for the next.
    partial: Partial,
    meter: Meter,
}

impl Outbox {
    /// Reports a batch, and acknowledges its records once the report is in the queue.
    fn send(&mut self, batch: &mut Batch) -> multiproc::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let partial = &mut self.partial;
        partial.ids.clear();
        partial.ids.extend(batch.leases.iter().map(Lease::id));
        std::mem::swap(&mut partial.waits_ns, &mut batch.waits_ns);
        batch.waits_ns.clear();
        partial.tally = std::mem::take(&mut batch.counter.tally);
        partial.words = batch.counter.table.take();
        (partial.wall_ns, partial.queue_ns) = self.meter.lap();
        self.meter.queue(|| self.results.put(&*partial))?;
        // From here on the records are counted: whoever gets one of them again reports it alone, and it is dropped.
        self.meter
            .queue(|| batch.leases.drain(..).for_each(Lease::ack));
        batch
            .counter
            .table
            .reuse(std::mem::take(&mut partial.words));
        Ok(())
    }
}
