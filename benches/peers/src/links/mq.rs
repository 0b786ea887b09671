//! POSIX message queues, as far as an ordinary system allows: ten messages of 8 KiB.

use std::ffi::CString;

use super::link::{COPIES_WARM, Job, Link, crossed};
use super::ours::payload;
use crate::harness::ours::fresh_name;
use crate::harness::{Endpoint, Meeting, Payload};

/// One queue without a name, closed on drop.
#[derive(Debug)]
struct Queue(libc::mqd_t);

impl Queue {
    /// What Linux allows to everybody.
    const MESSAGES: libc::c_long = 10;

    /// A queue of messages of `len` bytes, unless the system has none.
    fn new(len: usize) -> Option<Self> {
        let name = CString::new(format!("/{}", fresh_name())).expect("no zero in a name");
        // SAFETY: zeros are a valid set of attributes.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = Self::MESSAGES;
        attributes.mq_msgsize = len as libc::c_long;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: name and attributes are valid for the call; the mode is an integer, as the flags ask for.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &raw const attributes) };
        // SAFETY: the name is a string.
        unsafe { libc::mq_unlink(name.as_ptr()) };
        (queue >= 0).then_some(Self(queue))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this queue's own.
        unsafe { libc::mq_close(self.0) };
    }
}

/// A queue for each direction.
#[derive(Debug)]
pub struct MessageQueue<const N: usize> {
    queues: [Queue; 2],
    payload: Payload,
}

/// One worker's end.
#[derive(Debug)]
pub struct MessageQueueEnd<'a> {
    out: &'a Queue,
    into: &'a Queue,
    payload: &'a Payload,
    message: Vec<u8>,
}

impl<const N: usize> Link<N> for MessageQueue<N> {
    const NAME: &'static str = "POSIX message queue";
    const WARM: u64 = COPIES_WARM;
    const LONGEST: usize = 1024;

    type End<'a> = MessageQueueEnd<'a>;

    fn is_there() -> bool {
        Queue::new(8 * N).is_some()
    }

    fn new(job: Job) -> Self {
        Self {
            queues: [(); 2].map(|()| Queue::new(8 * N).expect("a message queue")),
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.queues.each_ref());
        let (payload, message) = (&self.payload, vec![0; self.payload.len()]);
        MessageQueueEnd {
            out,
            into,
            payload,
            message,
        }
    }
}

impl Endpoint for MessageQueueEnd<'_> {
    fn send(&mut self, seq: u64) {
        let message = &mut self.message;
        self.payload.write(message, seq);
        // SAFETY: the message is readable for its length.
        let rc = unsafe { libc::mq_send(self.out.0, message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(rc, 0, "mq_send");
    }

    fn receive(&mut self) -> (u64, u64) {
        let (message, nobody) = (&mut self.message, std::ptr::null_mut());
        let room = message.as_mut_ptr().cast();
        // SAFETY: the message is writable for its length; a null pointer asks for no priority.
        let len = unsafe { libc::mq_receive(self.into.0, room, message.len(), nobody) };
        assert_eq!(len, message.len() as isize, "mq_receive");
        self.payload.read(message)
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}
