//! The verbs that wait, for each sort of thing.

use super::Async;
use super::until::until;
use crate::message::Message;
use crate::waiting::Source;
use crate::{
    Connection, Consumer, Event, GetError, Incoming, Lease, Process, Queue, Received, Receiver,
    RecvError, Result, TryGetError, TryRecvError,
};

/// The verbs of both who get from a queue.
macro_rules! getting {
    ($thing:ident) => {
        impl<T: Message> Async<$thing<T>> {
            #[doc = concat!("As [`", stringify!($thing), "::get`], awaited.")]
            ///
            /// # Errors
            ///
            /// As there.
            #[inline]
            pub async fn get(&self) -> Result<Received<'_, T>, GetError> {
                until(&self.sleep, &self.watch, |_, _| got(self.watch.try_get())).await
            }

            #[doc = concat!("As [`", stringify!($thing), "::get_owned`], awaited.")]
            ///
            /// # Errors
            ///
            /// As there.
            #[inline]
            pub async fn get_owned(&self) -> Result<T, GetError> {
                until(&self.sleep, &self.watch, |queue, _| {
                    got(queue.try_get_owned())
                })
                .await
            }

            #[doc = concat!("As [`", stringify!($thing), "::lease`], awaited.")]
            ///
            /// # Errors
            ///
            /// As there.
            #[inline]
            pub async fn lease(&self) -> Result<Lease<T>, GetError> {
                until(&self.sleep, &self.watch, |queue, _| got(queue.try_lease())).await
            }
        }
    };
}

getting!(Queue);
getting!(Consumer);

/// The answer of a verb that waits, if that is one.
#[inline(always)]
fn got<R>(answer: Result<R, TryGetError>) -> Option<Result<R, GetError>> {
    match answer {
        Ok(message) => Some(Ok(message)),
        Err(TryGetError::Empty) => None,
        Err(TryGetError::Closed) => Some(Err(GetError::Closed)),
        Err(TryGetError::Disconnected) => Some(Err(GetError::Disconnected)),
        Err(TryGetError::Invalid(invalid)) => Some(Err(GetError::Invalid(invalid))),
    }
}

impl<T: Message> Async<Receiver<T>> {
    /// As [`Receiver::recv`], awaited.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub async fn recv(&mut self) -> Result<Incoming<'_, T>, RecvError> {
        until(&self.sleep, &mut self.watch, |end, _| received(end.peek())).await?;
        self.watch.recv() // it is there, and nobody else can take it
    }

    /// As [`Receiver::recv_owned`], awaited.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub async fn recv_owned(&mut self) -> Result<T, RecvError> {
        until(&self.sleep, &mut self.watch, |end, _| received(end.peek())).await?;
        self.watch.recv_owned() // as above; out of the inner future it would be copied, in other parts than it was stored in
    }
}

impl<S: Message, R: Message> Async<Connection<S, R>> {
    /// As [`Connection::recv`], awaited.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> multiproc::Result<()> {
    /// use multiproc::{Async, Pipe};
    /// use std::time::Duration;
    /// use tokio::time::timeout;
    ///
    /// let (near, far) = Pipe::<String, String>::new()?;
    /// let mut near = Async::new(near)?;
    /// let late = timeout(Duration::from_millis(1), near.recv()).await.is_err();
    /// assert!(late); // and nothing is lost by that
    /// far.send("hello")?;
    /// assert_eq!(&*near.recv().await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub async fn recv(&mut self) -> Result<Incoming<'_, R>, RecvError> {
        let attempt = |end: &Connection<S, R>, _| received(end.receiver().peek());
        until(&self.sleep, &mut self.watch, attempt).await?;
        self.watch.recv() // it is there, and nobody else can take it
    }

    /// As [`Connection::recv_owned`], awaited.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub async fn recv_owned(&mut self) -> Result<R, RecvError> {
        let attempt = |end: &Connection<S, R>, _| received(end.receiver().peek());
        until(&self.sleep, &mut self.watch, attempt).await?;
        self.watch.recv_owned() // as above; out of the inner future it would be copied, in other parts than it was stored in
    }
}

#[inline(always)]
fn received<R>(answer: Result<R, TryRecvError>) -> Option<Result<R, RecvError>> {
    match answer {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(RecvError::Disconnected)),
        Err(TryRecvError::PeerDied { pid }) => Some(Err(RecvError::PeerDied { pid })),
        Err(TryRecvError::Elsewhere) => Some(Err(RecvError::Elsewhere)),
        Err(TryRecvError::Invalid(invalid)) => Some(Err(RecvError::Invalid(invalid))),
    }
}

impl Async<Event> {
    /// As [`Event::wait`], awaited: until the event is set, or was since this was first polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> multiproc::Result<()> {
    /// use multiproc::{Async, Event, Process};
    ///
    /// # multiproc::init();
    /// let done = Async::new(Event::new()?)?;
    /// let child = Process::spawn(|event: Event| event.set(), (done.clone(),))?;
    /// done.wait().await;
    /// child.join()
    /// # }
    /// ```
    pub async fn wait(&self) {
        let event: &Event = self;
        let begun = event.begin();
        let attempt = |event: &Event, _| event.is_ready(begun).then_some(());
        until(&self.sleep, &self.watch, attempt).await;
    }
}

impl<R: Message> Async<Process<R>> {
    /// As [`Process::join`], awaited.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn join(&self) -> Result<R> {
        drop(self.watch.take_stdin()); // as `join` does: who reads to its end is not waited for in vain
        let attempt = |process: &Process<R>, _| process.try_join().transpose();
        until(&self.sleep, &self.watch, attempt).await
    }
}
