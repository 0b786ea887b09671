//! `ipc-channel`: a channel of bytes for each direction, which spares it the encoding.

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender};

use super::link::{COPIES_WARM, Job, Link, crossed};
use super::ours::payload;
use crate::harness::{Endpoint, Meeting, Payload};

/// Both directions.
#[derive(Debug)]
pub struct Ipc<const N: usize> {
    channels: [(IpcBytesSender, IpcBytesReceiver); 2],
    payload: Payload,
}

// SAFETY: the workers are processes, and each uses the copy that its fork made.
unsafe impl<const N: usize> Sync for Ipc<N> {}

/// One worker's end.
#[derive(Debug)]
pub struct IpcEnd<'a> {
    sender: &'a IpcBytesSender,
    receiver: &'a IpcBytesReceiver,
    payload: &'a Payload,
    message: Vec<u8>,
}

impl<const N: usize> Link<N> for Ipc<N> {
    const NAME: &'static str = "ipc-channel";
    const WARM: u64 = COPIES_WARM;

    type End<'a> = IpcEnd<'a>;

    fn new(job: Job) -> Self {
        Self {
            channels: [(); 2].map(|()| ipc::bytes_channel().expect("a socket")),
            payload: payload::<N>(job),
        }
    }

    fn open<'a>(&'a self, worker: usize, _meeting: &Meeting) -> Self::End<'a> {
        let (out, into) = crossed(worker, self.channels.each_ref());
        IpcEnd {
            sender: &out.0,
            receiver: &into.1,
            payload: &self.payload,
            message: vec![0; self.payload.len()],
        }
    }
}

impl Endpoint for IpcEnd<'_> {
    fn send(&mut self, seq: u64) {
        self.payload.write(&mut self.message, seq);
        self.sender.send(&self.message).expect("a receiver");
    }

    fn receive(&mut self) -> (u64, u64) {
        let message = self.receiver.recv().expect("a sender");
        self.payload.read(&message)
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}
