//! The one loop of all verbs: try, look for a moment, sleep with the runtime.

use std::future::poll_fn;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::task::Poll;

use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::ring::{LONGEST, Luck};
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, spin_loop};
use crate::sys::backoff::{self, USUAL};
use crate::sys::clock::{Deadline, now_ns};
use crate::sys::poll;
use crate::waiting::{Waitable, Watch};

/// What the futures of one thing share.
#[derive(Debug)]
pub(super) struct Sleep {
    pub(super) fd: AsyncFd<RawFd>,
    /// How looking for longer before the sleep went of late.
    ///
    /// A sender that rings, or was asleep until there was room, takes 10 us and more to come back; who goes to sleep
    /// meanwhile has it ring again, and a stream then moves by a few messages for each sleep. So a future looks for longer
    /// than that takes, as a pipe's `recv` does, where it is not in vain.
    pub(super) luck: Luck,
    /// Verbs that were called.
    pub(super) calls: AtomicU32,
    /// When the budget was asked for last.
    pub(super) begun: AtomicU64,
    /// Whether the runtime has one thread.
    pub(super) is_single: bool,
}

/// Asking for tokio's budget costs as much as a message, and when it is used up, which it is after 128 times, a turn: with
/// several threads a call to wake another, and with few processors a contest with the sender for one. So it is asked for once
/// in so many calls, and not for messages that come faster than so many in a unit of time.
const CALLS_PER_UNIT: u32 = 32;
const UNIT_NS: u64 = 2_000;

impl Sleep {
    #[inline]
    fn is_budget_due(&self) -> bool {
        let calls = self.calls.load(Relaxed); // of this process, whose threads may count wrongly
        self.calls.store(calls.wrapping_add(1), Relaxed); // no step: as above
        calls.is_multiple_of(CALLS_PER_UNIT) && self.is_unit_over()
    }

    #[cold]
    fn is_unit_over(&self) -> bool {
        let now = now_ns();
        let spent = now.saturating_sub(self.begun.load(Relaxed)); // of this process, as above
        let is_over = spent >= UNIT_NS;
        if is_over {
            self.begun.store(now, Relaxed); // no step: as above
        }
        is_over
    }

    /// How long to look between two turns for the other tasks, in nanoseconds.
    ///
    /// On several threads others run the other tasks meanwhile, and a turn costs more; see [`give_way`](Sleep::give_way).
    fn between_turns(&self) -> u64 {
        if self.is_single { 500 } else { 6_000 }
    }

    /// A turn for the other tasks.
    ///
    /// tokio's own has the thread ask the kernel for events, which an only thread does often enough without. Where there are
    /// several, a task that wakes itself has another one woken, which may take it away.
    async fn give_way(&self) {
        if !self.is_single {
            return yield_now().await;
        }
        let mut gone = false;
        poll_fn(|context| {
            if gone {
                return Poll::Ready(());
            }
            gone = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Tries until `attempt` gives something; it is told whether the thing was just found ready.
///
/// `watch` is a reference of either sort: an exclusive one lets the future be `Send` for things that are not `Sync`.
#[inline]
pub(super) async fn until<W, D, R>(
    sleep: &Sleep,
    watch: D,
    mut attempt: impl FnMut(&W, bool) -> Option<R>,
) -> R
where
    W: Waitable,
    D: Deref<Target = Watch<W>>,
{
    // Before the attempt: who is interrupted here has nothing in hand.
    if sleep.is_budget_due() {
        consume_budget().await;
    }
    if let Some(done) = attempt(&watch, false) {
        return done;
    }
    wait(sleep, watch, attempt).await
}

async fn wait<W, D, R>(
    sleep: &Sleep,
    mut watch: D,
    mut attempt: impl FnMut(&W, bool) -> Option<R>,
) -> R
where
    W: Waitable,
    D: Deref<Target = Watch<W>>,
{
    let begun = thing_of::<W>(&watch).begin();
    spin(sleep, &mut watch, begun).await;
    let mut told = false;
    loop {
        consume_budget().await;
        if let Some(done) = attempt(&watch, told) {
            return done;
        }
        told = false;
        let news = watch.news();
        let Ok(mut guard) = sleep.fd.readable().await else {
            // The runtime is shutting down.
            sleep.give_way().await;
            continue;
        };
        // What woke this task is left as it is for the others, if it serves.
        if let Some(done) = attempt(&watch, false) {
            return done;
        }
        match watch.rearm() {
            Ok(false) => {
                guard.clear_ready();
                if watch.news() != news {
                    watch.ring();
                }
            }
            Ok(true) => told = true,
            Err(_) => sleep.give_way().await,
        }
    }
}

/// Looks for some microseconds, with turns for the other tasks; descriptors are not looked at, which takes a system call.
async fn spin<W, D>(sleep: &Sleep, watch: &mut D, begun: u64)
where
    W: Waitable,
    D: Deref<Target = Watch<W>>,
{
    let pauses = backoff::pauses_in_a_microsecond().div_ceil(2);
    if pauses == 0 || thing_of::<W>(watch).spot().is_none() {
        return;
    }
    thing_of::<W>(watch).let_gather();
    let luck = &sleep.luck;
    let span = if luck.tempts() { LONGEST } else { USUAL };
    let mut now = now_ns();
    let end = now + span.as_nanos() as u64;
    let mut turn = now + sleep.between_turns();
    let found = loop {
        if is_ready_soon::<W>(watch, begun, pauses) {
            break true;
        }
        now = now_ns();
        if now >= end {
            break false;
        }
        if now >= turn {
            // Whoever is to act may be waiting for this very processor: woken by this thread, it is often put there.
            backoff::let_others();
            sleep.give_way().await;
            turn = now_ns() + sleep.between_turns();
        }
    };
    match found {
        true => luck.won(),
        false => luck.lost(),
    }
}

fn is_ready_soon<W: Waitable>(thing: &W, begun: u64, pauses: u32) -> bool {
    (0..pauses).any(|_| {
        spin_loop();
        thing.is_ready(begun)
    })
}

/// An attempt that is content with the thing's being ready, in a wait that begins now.
pub(super) fn look<W: Waitable>(thing: &W) -> impl FnMut(&W, bool) -> Option<()> + use<W> {
    let begun = thing.begin();
    move |thing, told| (told || thing.is_ready(begun) || is_readable(thing)).then_some(())
}

fn is_readable<W: Waitable>(thing: &W) -> bool {
    let fd = thing.descriptor();
    fd.is_some_and(|fd| poll::wait(fd, Deadline::NOW).is_ok_and(|ready| ready))
}

/// Named, because a watch is itself a descriptor that can be waited for.
fn thing_of<W: Waitable>(watch: &Watch<W>) -> &W {
    watch
}
