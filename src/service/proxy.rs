//! What processes have of an object that another one serves.

use super::line::Line;
use super::{Service, directory_fingerprint};
use crate::Result;
use crate::manager::Manager;
use crate::message::{Handle, handle_message};
use crate::tenancy::RawHandle;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// An object that another process serves: has the methods of the service `S`, which is `dyn Trait` for a trait declared by
/// [`service!`](crate::service).
///
/// Every method takes what the trait's does, calls the object in the process that has it, waits for the answer, and returns a
/// `Result<_, CallError>` of it.
///
/// A proxy is a handle. Cloning it, sending it in a message or passing it to a process gives another one of the same object;
/// it can be used by many threads at the same time. It connects when it is called: to whoever serves the object then, which may
/// be another process than last time.
///
/// # When a process dies
///
/// If the server dies, by `SIGKILL` too, every call that waits for it returns [`CallError::ServerDied`](crate::CallError)
/// within about 0.1 s, mostly at once. One that is merely stopped is waited for: [`with_timeout`](Proxy::with_timeout) says for
/// how long. If a caller dies, the server goes on.
///
/// # Cost
///
/// A call is a message there and one back, through a pipe in shared memory that is kept for the next call; each thread that
/// calls at the same time has one. What is given and what is returned is copied out on arrival.
///
/// # Examples
///
/// See [`service!`](crate::service).
pub struct Proxy<S: Service + ?Sized> {
    calls: S::Calls,
}

impl<S: Service + ?Sized> Proxy<S> {
    pub(super) fn of(line: Line<S>) -> Self {
        Proxy { calls: line.into() }
    }

    fn line(&self) -> &Line<S> {
        self.calls.as_ref()
    }

    /// A proxy of the same object whose calls wait no longer than so: for the connection, for their turn, and for the answer.
    /// They return [`CallError::Timeout`](crate::CallError::Timeout) then, and a call that had not begun is not run any more, as
    /// far as the server has noticed.
    ///
    /// The limit is this handle's: whoever receives it in a message waits as long as it takes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiproc::{CallError, Manager};
    /// # use std::time::Duration;
    /// multiproc::service! {
    ///     pub trait Slow {
    ///         fn sleep(&self, millis: u64);
    ///     }
    /// }
    /// # struct Bed;
    /// # impl Slow for Bed {
    /// #     fn sleep(&self, millis: u64) { std::thread::sleep(Duration::from_millis(millis)) } // time it is: longer than is waited for
    /// # }
    /// # fn main() -> multiproc::Result<()> {
    /// # let manager = Manager::new()?;
    /// # let _served = manager.serve::<dyn Slow>("slow", Box::new(Bed))?;
    /// let slow = manager.proxy::<dyn Slow>("slow")?;
    /// let hurried = slow.with_timeout(Duration::from_millis(1));
    /// assert_eq!(hurried.sleep(100), Err(CallError::Timeout));
    /// slow.sleep(1)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Proxy::of(self.line().limited(timeout))
    }
}

impl<S: Service + ?Sized> Deref for Proxy<S> {
    type Target = S::Calls;

    fn deref(&self) -> &S::Calls {
        &self.calls
    }
}

impl<S: Service + ?Sized> Clone for Proxy<S> {
    fn clone(&self) -> Self {
        Proxy::of(self.line().clone())
    }
}

impl<S: Service + ?Sized> fmt::Debug for Proxy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy<{}>({:?})", S::type_name(), self.line())
    }
}

impl<S: Service + ?Sized> Handle for Proxy<S> {
    fn to_raw(&self) -> RawHandle {
        self.line().post().to_raw()
    }

    fn attach(raw: &RawHandle) -> Result<Self> {
        let post = Manager::post_at(raw, directory_fingerprint::<S>())?;
        Ok(Proxy::of(Line::new(post)))
    }
}

handle_message!([S: Service + ?Sized] Proxy<S>, "Proxy", [S]);
