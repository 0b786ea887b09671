//! The one loop of all verbs: try, look for a moment, sleep with the runtime.

use std::future::poll_fn;
use std::ops::Deref;
use std::os::fd::RawFd;
use std::task::Poll;

use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;

use crate::ring::{LONGEST, Luck};
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed, spin_loop};
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
}

/// Asking for tokio's budget costs as much as a message: one call in so many does, and stands for all.
const CALLS_PER_UNIT: u32 = 8;

impl Sleep {
    #[inline]
    fn is_budget_due(&self) -> bool {
        let calls = self.calls.load(Relaxed); // of this process, whose threads may count wrongly
        self.calls.store(calls.wrapping_add(1), Relaxed); // no step: as above
        calls.is_multiple_of(CALLS_PER_UNIT)
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
    spin(&sleep.luck, &mut watch, begun).await;
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
            give_way().await;
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
            Err(_) => give_way().await,
        }
    }
}

/// Looks for some microseconds, with turns for the other tasks; descriptors are not looked at, which takes a system call.
async fn spin<W, D>(luck: &Luck, watch: &mut D, begun: u64)
where
    W: Waitable,
    D: Deref<Target = Watch<W>>,
{
    let pauses = backoff::pauses_in_a_microsecond().div_ceil(2);
    if pauses == 0 || thing_of::<W>(watch).spot().is_none() {
        return;
    }
    let span = if luck.tempts() { LONGEST } else { USUAL };
    let end = now_ns() + span.as_nanos() as u64;
    let found = loop {
        if is_ready_soon::<W>(watch, begun, pauses) {
            break true;
        }
        if now_ns() >= end {
            break false;
        }
        // Whoever is to act may be waiting for this very processor: woken by this thread, it is often put there.
        backoff::let_others();
        give_way().await;
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

/// A turn for the other tasks; unlike tokio's own it makes no system call.
async fn give_way() {
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
