//! Copies of a payload in private memory, one after the other: what writing it once costs at the least.

use std::hint::black_box;

use multiproc::Result;

use crate::bench::crew::Seat;
use crate::bench::payload::Payload;
use crate::bench::report::Report;
use crate::clock::now_ns;

/// Copies for so long.
pub fn copy(seat: Seat, span_ns: u64, len: u64) -> Result<Report> {
    let _page = seat.take()?;
    let payload = Payload::new(len as usize);
    let mut room = vec![0; len as usize];
    // About a microsecond between two looks at the clock.
    let batch = (64 << 10) / len + 1;
    copies(&payload, &mut room, batch, span_ns / 8);
    Ok(copies(&payload, &mut room, batch, span_ns))
}

fn copies(payload: &Payload, room: &mut [u8], batch: u64, span_ns: u64) -> Report {
    let mut report = Report {
        begin: now_ns(),
        ..Report::default()
    };
    while now_ns() - report.begin < span_ns {
        for first in 0..batch {
            payload.write(black_box(&mut *room), first);
        }
        report.count += batch;
    }
    report.end = now_ns();
    report
}
