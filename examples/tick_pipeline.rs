//! Market data in three stages, each a process of its own: a source sends ticks to two strategies by a pipe each, the
//! strategies put orders into one queue, and a recorder takes them and says how old the ticks were.
//!
//! `cargo run --release --example tick_pipeline -- [TICKS] [TICKS A SECOND]`

use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use multiproc::{Error, ErrorKind, Pipe, Process, Producer, Queue, Receiver, Result, Sender};

multiproc::message! {
    /// A trade that somebody made.
    pub struct Tick {
        /// Counts from 0.
        pub number: u64,
        /// What was paid.
        pub price: f64,
        /// When it was sent, in nanoseconds of the system's clock, which all processes share.
        pub sent: u64,
    }
}

multiproc::message! {
    /// What a strategy makes of one.
    pub struct Order {
        /// 0 the fast one, 1 the slow one.
        pub strategy: u8,
        /// Or sells.
        pub buys: bool,
        /// The number of the tick.
        pub tick: u64,
        /// When that was sent.
        pub sent: u64,
        /// When this was decided.
        pub decided: u64,
    }
}

/// In nanoseconds; nothing here is older.
const MINUTE: u64 = 60_000_000_000;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_nanos() as u64)
}

/// Sends every tick to both strategies, so many a second.
fn source(ticks: u64, pace: Duration, strategies: (Sender<Tick>, Sender<Tick>)) -> Result<()> {
    let start = Instant::now();
    let mut price = 100.0;
    for number in 0..ticks {
        let due = start + pace * number as u32;
        while Instant::now() < due {
            std::thread::yield_now();
        }
        // A walk that looks random and is the same each time.
        let step = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1 << 24) as f64;
        price += step - 0.5;
        let sent = now();
        let tick = Tick {
            number,
            price,
            sent,
        };
        strategies.0.send(&tick)?;
        strategies.1.send(&tick)?;
    }
    Ok(())
}

/// Compares each price with the mean of those before, which a slow strategy remembers for longer, and orders when it
/// crosses the mean.
fn strategy(id: u8, memory: f64, ticks: Receiver<Tick>, orders: Producer<Order>) -> Result<()> {
    let (mut mean, mut above) = (100.0, false);
    for tick in ticks.iter() {
        let price = tick.price.to_native();
        mean += (price - mean) / memory;
        let crossed = (price > mean) != above;
        above = price > mean;
        if crossed {
            orders.put(Order {
                strategy: id,
                buys: above,
                tick: tick.number.to_native(),
                sent: tick.sent.to_native(),
                decided: now(),
            })?;
        }
    }
    Ok(())
}

/// Takes orders until both strategies are done, and prints what became of them.
fn recorder(orders: Queue<Order>) -> Result<()> {
    let histogram = || Histogram::<u64>::new_with_max(MINUTE, 3).expect("three digits");
    let mut latencies = [
        ("tick to order", histogram()),
        ("order to record", histogram()),
    ];
    let mut counts = [0_u64; 2];
    for order in &orders {
        let (sent, decided) = (order.sent.to_native(), order.decided.to_native());
        for ((_, seen), age) in latencies
            .iter_mut()
            .zip([decided.saturating_sub(sent), now().saturating_sub(decided)])
        {
            seen.saturating_record(age);
        }
        counts[usize::from(order.strategy)] += 1;
    }
    println!("orders           fast {}, slow {}", counts[0], counts[1]);
    for (name, seen) in latencies {
        let [half, most, nearly_all] =
            [0.5, 0.99, 0.999].map(|part| Duration::from_nanos(seen.value_at_quantile(part)));
        println!("{name:<16} p50 {half:?}  p99 {most:?}  p99.9 {nearly_all:?}");
    }
    Ok(())
}

fn argument(place: usize, otherwise: u64) -> Result<u64> {
    let Some(text) = std::env::args().nth(place) else {
        return Ok(otherwise);
    };
    let number = text.parse().ok().filter(|&number| number > 0);
    let refused = || format!("`{text}` is not a number of ticks; give one above 0");
    number.ok_or_else(|| Error::new(ErrorKind::InvalidInput, refused()))
}

fn main() -> Result<()> {
    multiproc::init();
    let (ticks, rate) = (argument(1, 200_000)?, argument(2, 100_000)?);
    let pace = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);

    let orders = Queue::new(1024)?;
    let (to_fast, fast) = Pipe::one_way()?;
    let (to_slow, slow) = Pipe::one_way()?;
    let recording = Process::spawn(recorder, (orders.clone(),))?;
    let strategies = [
        Process::spawn(strategy, (0_u8, 8.0, fast, orders.producer()?))?,
        Process::spawn(strategy, (1_u8, 512.0, slow, orders.producer()?))?,
    ];
    let sending = Process::spawn(source, (ticks, pace, (to_fast, to_slow)))?;
    sending.join()?;
    for strategy in strategies {
        strategy.join()?;
    }
    recording.join()
}
