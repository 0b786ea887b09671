//! One clock for all processors: the counter that user space can read.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The processor's constant-rate counter.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reading the time stamp counter has no precondition.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let count: u64;
        // SAFETY: the virtual counter is readable from user space on Linux; reading it touches no memory.
        unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }
}

/// Turns a span of [`ticks`] into nanoseconds.
pub fn nanos(ticks: u64) -> f64 {
    ticks as f64 * nanos_per_tick()
}

/// Keeps the processor busy for `span`.
pub fn busy_wait(span: Duration) {
    let begin = ticks();
    let span = span.as_nanos() as f64;
    while nanos(ticks().wrapping_sub(begin)) < span {
        std::hint::spin_loop();
    }
}

/// Measures how long a tick is, if that has not been done: before the first fork, lest every worker do it.
pub fn calibrate() {
    nanos_per_tick();
}

/// Measured once; a forked worker inherits its parent's measurement.
fn nanos_per_tick() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let (clock, count) = (Instant::now(), ticks());
        while clock.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let (span, counted) = (clock.elapsed(), ticks() - count);
        span.as_nanos() as f64 / counted as f64
    })
}
