//! Wake-ups: from the call of the one who wakes until the one who waits is running again.

use std::sync::atomic::Ordering;

use multiproc::{Condition, Event, Result, Waitable, wait_any};

use super::ping::Pace;
use crate::bench::backoff::Backoff;
use crate::bench::crew::Seat;
use crate::bench::page::Page;
use crate::bench::report::Report;
use crate::bench::sys::{futex_wait, post};
use crate::clock::now_ns;

/// Waits again and again, by `wait` for the round given, and takes the time since its waker began.
fn waits(seat: Seat, mut wait: impl FnMut(&Page, u32) -> Result<()>) -> Result<Report> {
    let page = seat.take()?;
    let mut times = Vec::new();
    page.meet(seat.parties);
    for round in 1.. {
        page.waiting.store(u64::from(round), Ordering::Release);
        wait(&page, round)?;
        let now = now_ns();
        times.push(now.saturating_sub(page.begun.load(Ordering::Acquire)));
        if page.last.load(Ordering::Acquire) != 0 {
            break;
        }
    }
    Ok(Report::of_times(&times))
}

/// Wakes the one who waits, by `wake` for the round given, after the break.
fn wakes(seat: Seat, pace: Pace, mut wake: impl FnMut(&Page, u32) -> Result<()>) -> Result<Report> {
    let page = seat.take()?;
    page.meet(seat.parties);
    let since = now_ns();
    for round in 1.. {
        let mut backoff = Backoff::new();
        while page.waiting.load(Ordering::Acquire) != u64::from(round) {
            backoff.wait();
        }
        pace.pause();
        let last = pace.is_over(round as usize, since);
        page.last.store(u32::from(last), Ordering::Release);
        page.begun.store(now_ns(), Ordering::Release);
        wake(&page, round)?;
        if last {
            break;
        }
    }
    Ok(Report::default())
}

/// Waits for an event.
pub fn wait_for_event(seat: Seat, event: Event) -> Result<Report> {
    waits(seat, |_, _| {
        event.wait();
        event.clear();
        Ok(())
    })
}

/// Waits for the last of several events, which is the one that is set.
pub fn wait_for_any(seat: Seat, events: Vec<Event>) -> Result<Report> {
    let things: Vec<_> = events.iter().map(|event| event as &dyn Waitable).collect();
    waits(seat, |_, _| {
        let set = wait_any(&things)?;
        events[set].clear();
        Ok(())
    })
}

/// Sets it.
pub fn set(seat: Seat, pace: Pace, event: Event) -> Result<Report> {
    wakes(seat, pace, |_, _| {
        event.set();
        Ok(())
    })
}

/// Waits for a condition's number to be the round.
pub fn wait_for_condition(seat: Seat, condition: Condition<u64>) -> Result<Report> {
    waits(seat, |_, round| {
        let mut number = condition.lock()?;
        Ok(number.wait_while(|number| *number != u64::from(round))?)
    })
}

/// Makes it the round, and notifies.
pub fn notify(seat: Seat, pace: Pace, condition: Condition<u64>) -> Result<Report> {
    wakes(seat, pace, |_, round| {
        *condition.lock()? = u64::from(round);
        condition.notify_one();
        Ok(())
    })
}

/// Waits for a bare word, awake or by the futex call alone.
pub fn wait_for_bare(seat: Seat, spin: bool) -> Result<Report> {
    waits(seat, |page, round| {
        let mut backoff = Backoff::new();
        loop {
            match page.there.load(Ordering::Acquire) {
                seen if seen == round => return Ok(()),
                _ if spin => backoff.wait(),
                seen => futex_wait(&page.there, seen),
            }
        }
    })
}

/// Stores it, and wakes by the futex call alone if need be.
pub fn wake_bare(seat: Seat, pace: Pace) -> Result<Report> {
    wakes(seat, pace, |page, round| {
        match pace.spin {
            true => page.there.store(round, Ordering::Release),
            false => post(&page.there, round),
        }
        Ok(())
    })
}
