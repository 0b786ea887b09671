//! As many messages as go: some processes send for a while, others receive.

use multiproc::Result;

use super::{END, receive};
use crate::bench::crew::Seat;
use crate::bench::page::Page;
use crate::bench::payload::Payload;
use crate::bench::report::Report;
use crate::bench::transport::{Sender, Transport};
use crate::clock::now_ns;

multiproc::message! {
    /// What all of a stream's processes know.
    #[derive(Clone, Copy, Debug)]
    pub struct Flow {
        /// Bytes of a message.
        pub len: u64,
        /// Processes that send; they come first. The rest receive.
        pub senders: u32,
        /// Messages of each sender that do not count.
        pub warm: u64,
        /// How long each sends after that.
        pub span_ns: u64,
        /// Whether receivers stay awake.
        pub spin: bool,
    }
}

/// Messages between two looks at the clock.
const BATCH: u64 = 64;

/// Sends to warm up, and then for the span.
pub fn produce<T: Transport>(seat: Seat, flow: Flow, mut out: T::Sender) -> Result<Report> {
    let page = seat.take()?;
    let payload = Payload::new(flow.len as usize);
    let receivers = seat.parties - flow.senders;
    let mut next = u64::from(seat.worker) << 40;
    page.meet(seat.parties);
    for _ in 0..flow.warm {
        out.send(&payload, next)?;
    }
    end::<T>(&page, &mut out, &payload, 1, flow.senders, receivers)?;
    page.meet(seat.parties);
    let mut report = Report {
        begin: now_ns(),
        ..Report::default()
    };
    while now_ns() - report.begin < flow.span_ns {
        for _ in 0..BATCH {
            out.send(&payload, next)?;
            report.sum = report.sum.wrapping_add(next);
            next += 1;
        }
        report.count += BATCH;
    }
    report.end = now_ns();
    let filler = payload.check(0).wrapping_mul(report.count);
    report.check = report.sum.wrapping_add(filler);
    end::<T>(&page, &mut out, &payload, 2, flow.senders, receivers)?;
    Ok(report)
}

/// The last sender of a lap tells every receiver: whatever was sent comes before that.
fn end<T: Transport>(
    page: &Page,
    out: &mut T::Sender,
    payload: &Payload,
    lap: u32,
    senders: u32,
    receivers: u32,
) -> Result<()> {
    if page.finish() == lap * senders {
        (0..receivers).try_for_each(|_| out.send(payload, END))?;
    }
    Ok(())
}

/// Receives what is sent, whole, in both laps; the second counts.
pub fn consume<T: Transport>(seat: Seat, flow: Flow, mut into: T::Receiver) -> Result<Report> {
    let page = seat.take()?;
    page.meet(seat.parties);
    receive_all::<T>(&mut into, flow.spin)?;
    page.meet(seat.parties);
    receive_all::<T>(&mut into, flow.spin)
}

fn receive_all<T: Transport>(into: &mut T::Receiver, spin: bool) -> Result<Report> {
    let mut report = Report {
        begin: now_ns(),
        ..Report::default()
    };
    loop {
        let (first, check) = receive(into, spin)?;
        if first == END {
            break;
        }
        report.count += 1;
        report.sum = report.sum.wrapping_add(first);
        report.check = report.check.wrapping_add(check);
    }
    report.end = now_ns();
    Ok(report)
}
