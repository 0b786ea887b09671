//! Floor 8: awaiting in a runtime of the crate `tokio` (feature `tokio`).
//!
//! # Why no wake-up is lost
//!
//! A [`Watch`] is *armed* from the moment in which `rearm` has said no until something happens; that rings its bell, which
//! makes its descriptor readable anew, and disarms it. tokio is told of this once, and remembers it until somebody clears
//! it: from then on the descriptor counts as ready, and nobody sleeps on it. Whoever sleeps there wakes all together.
//!
//! The rule is that **readiness is cleared only by who has just armed the watch**: `rearm` says no first, and then what was
//! known *before* is cleared. So at every moment, and wherever a future is dropped, either
//!
//! - the watch is armed, and whatever comes next makes the descriptor ready, or
//! - the descriptor is ready for tokio, or will be when tokio asks the kernel next: then everybody looks.
//!
//! What comes between the looking of `rearm` and the clearing is not cleared with the rest: tokio clears only what it had
//! told by the time the guard was made, and knows by a count whether there is news. What comes before that is seen by
//! `rearm` itself, which then says yes, and has the descriptor ready again.
//!
//! Hence several tasks may wait on one thing. One that was woken and takes a message leaves the descriptor ready, so that
//! all others look as well; the last of them finds nothing, arms the watch, and only then is there silence. A task that is
//! dropped after it was woken has woken all others with it.
//!
//! An event that was set and cleared is seen by each task for itself, by the laps since its own wait began, but `rearm` says
//! yes to it only once. Who is told no after another was told yes may have silenced the bell of that yes, and rings again.
//!
//! # Why no message is lost
//!
//! A future holds nothing while it waits: the verb that does not wait takes the message in that very `poll` which returns
//! it. The budget of tokio's co-operative scheduling is asked for before, not after.

mod until;
mod verbs;

use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdRegisterError};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::ring::Luck;
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::waiting::{Waitable, Watch};
use crate::{Error, ErrorKind, Result};
use until::{Sleep, look, until};

/// A queue, a receiving end, an event or a process whose verbs that wait are awaited (feature `tokio`).
///
/// | of | there are |
/// |---|---|
/// | [`Queue`](crate::Queue), [`Consumer`](crate::Consumer) | `get`, `get_owned`, `lease` |
/// | [`Receiver`](crate::Receiver), [`Connection`](crate::Connection) | `recv`, `recv_owned` |
/// | [`Event`](crate::Event) | `wait` |
/// | [`Process`](crate::Process) | `join` |
/// | all that is [`Waitable`], a condition's [`Waiter`](crate::Waiter), sockets and timers too | [`ready`](Async::ready), [`ready_mut`](Async::ready_mut) |
///
/// It derefs to what it was made of, for all the other verbs. Those that wait by themselves, such as `get_timeout`, keep the
/// thread of the runtime; use `tokio::time::timeout` instead.
///
/// # Dropping a future
///
/// Every future here may be dropped at any time, as `select!` and `timeout` do: no message is lost with it, and no other
/// task of the same thing sleeps on because of it.
///
/// # One at a time, or many
///
/// Any number of tasks may await one queue, event or process through an `Arc`. A connection has one reader: its verbs take
/// `&mut self`, so that their futures are `Send` and can be spawned. To answer a message while it is in hand, wait with
/// [`ready_mut`](Async::ready_mut) and take it with `try_recv`, or [`split`](crate::Connection::split) the connection first.
///
/// # Waiting and cost
///
/// A message that is there costs no system call, and from time to time a turn for the other tasks of the thread, by tokio's
/// budget. Who has to wait looks for some microseconds, or up to 100 where that was not in vain of late, with turns for the
/// other tasks and processes, and then sleeps with the runtime: two system calls beside the runtime's own. The thing that
/// wakes it pays one. Each has three descriptors, as a [`Watch`].
///
/// # When a process dies
///
/// As for [`Watch`]: its death is found within 100 ms where there are few of these, and in seconds where there are hundreds;
/// the end of a [`Process`](crate::Process) at once.
///
/// # Errors
///
/// The verbs answer as those that block do. When the system refuses even to be asked, or the runtime is shutting down, a
/// future looks again at each of its turns instead of sleeping.
///
/// # Examples
///
/// ```
/// use multiproc::{Async, Process, Queue};
///
/// fn squares(results: Queue<u64>) {
///     (0..10_u64).for_each(|n| results.put(n * n).unwrap());
///     results.close();
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn run() -> multiproc::Result<u64> {
///     let results = Async::new(Queue::new(4)?)?;
///     let child = Async::new(Process::spawn(squares, (results.clone(),))?)?;
///     let mut sum = 0;
///     while let Ok(square) = results.get().await {
///         sum += square.to_native(); // read in place, acknowledged here
///     }
///     child.join().await?;
///     Ok(sum)
/// }
///
/// fn main() -> multiproc::Result<()> {
///     multiproc::init(); // before there are threads
///     assert_eq!(run()?, 285);
///     Ok(())
/// }
/// ```
pub struct Async<W: Waitable> {
    /// Before the watch: the runtime forgets the descriptor before it is closed.
    sleep: Sleep,
    watch: Watch<W>,
}

impl<W: Waitable> Async<W> {
    /// Has `thing` awaited in the runtime that runs the caller.
    ///
    /// # Errors
    ///
    /// `InvalidInput` outside of a runtime, `Os` when there are no descriptors left.
    ///
    /// # Panics
    ///
    /// tokio panics when the runtime was built without `enable_io` or `enable_all`.
    pub fn new(thing: W) -> Result<Self> {
        let Ok(runtime) = Handle::try_current() else {
            let text = "there is no tokio runtime here; make an `Async` in a future, or under `Handle::enter`";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        };
        let watch = Watch::new(thing)?;
        watch.rearm()?; // armed or readable, from the start
        // SAFETY: the watch keeps its descriptor open for as long as it lives, and is dropped after the registration.
        let fd = unsafe { AsyncFd::register_with_interest(watch.as_raw_fd(), Interest::READABLE) };
        let refused = |cause: AsyncFdRegisterError<RawFd>| {
            Error::os("cannot have tokio wait for a descriptor", cause.into())
        };
        Ok(Async {
            sleep: Sleep {
                fd: fd.map_err(refused)?,
                luck: Luck::default(),
                calls: AtomicU32::new(0),
                begun: AtomicU64::new(0),
                is_single: runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
            },
            watch,
        })
    }

    /// Waits until the thing is ready; [`Waitable`] says when that is.
    ///
    /// Readiness is a hint: another task, thread or process may be faster. Go on with a verb that does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> multiproc::Result<()> {
    /// use multiproc::{Async, Queue};
    ///
    /// let queue = Async::new(Queue::<u64>::new(8)?)?;
    /// queue.put_many([1, 2, 3])?;
    /// queue.ready().await;
    /// assert_eq!(queue.get_many(8)?.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready(&self) {
        until(&self.sleep, &self.watch, look::<W>(&self.watch)).await;
    }

    /// As [`ready`](Async::ready), for things that one thread uses at a time: the future is `Send` where the thing is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> multiproc::Result<()> {
    /// use multiproc::{Async, Pipe};
    ///
    /// let (client, server) = Pipe::<String, u64>::new()?;
    /// client.send("how long")?;
    /// let mut server = Async::new(server)?;
    /// server.ready_mut().await;
    /// if let Ok(question) = server.try_recv() {
    ///     server.send(question.len() as u64)?; // while the question is read in place
    /// }
    /// assert_eq!(Async::new(client)?.recv_owned().await?, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ready_mut(&mut self) {
        let look = look::<W>(&self.watch);
        until(&self.sleep, &mut self.watch, look).await;
    }

    /// Whether whoever makes the thing ready wakes the tasks; see [`Watch::is_prompt`].
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.watch.is_prompt()
    }
}

impl<W: Waitable> Deref for Async<W> {
    type Target = W;

    #[inline]
    fn deref(&self) -> &W {
        &self.watch
    }
}

impl<W: Waitable + fmt::Debug> fmt::Debug for Async<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&**self).finish()
    }
}
