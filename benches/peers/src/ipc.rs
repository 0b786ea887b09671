//! `ipc-channel` and pipes, between processes.

use std::io::{PipeReader, PipeWriter, Read, Write};

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};

use crate::harness::Endpoint;
use crate::threads::{check, message, read};

/// Both ends of an `ipc_channel` of vectors, which serialises every message and copies it through a socket.
#[derive(Debug)]
pub struct Ends(IpcSender<Vec<u64>>, IpcReceiver<Vec<u64>>);

// SAFETY: the workers are processes, and each uses the copy that its fork made.
unsafe impl Sync for Ends {}

impl Ends {
    /// An empty channel.
    pub fn new() -> Self {
        let (sender, receiver) = ipc::channel().expect("a socket");
        Self(sender, receiver)
    }
}

/// One worker's view of both ends.
#[derive(Clone, Copy, Debug)]
pub struct Ipc<'a, const N: usize>(pub &'a Ends);

impl<const N: usize> Endpoint for Ipc<'_, N> {
    fn send(&mut self, seq: u64) {
        self.0
            .0
            .send(message::<N>(seq).to_vec())
            .expect("a receiver");
    }

    fn receive(&mut self) -> (u64, u64) {
        let words = self.0.1.recv().expect("a sender");
        read::<N>(words.as_slice().try_into().expect("a whole message"))
    }

    fn check(&self, seq: u64) -> u64 {
        check::<N>(seq)
    }
}

/// Both ends of a pipe; writes up to its atomic size never mix.
#[derive(Debug)]
pub struct Pipe<'a, const N: usize> {
    writer: &'a PipeWriter,
    reader: &'a PipeReader,
}

impl<'a, const N: usize> Pipe<'a, N> {
    /// Both ends; each worker uses one.
    pub fn new(ends: &'a (PipeReader, PipeWriter)) -> Self {
        Self {
            reader: &ends.0,
            writer: &ends.1,
        }
    }
}

impl<const N: usize> Endpoint for Pipe<'_, N> {
    fn send(&mut self, seq: u64) {
        let words = message::<N>(seq);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.writer.write_all(&bytes).expect("a reader");
    }

    fn receive(&mut self) -> (u64, u64) {
        let mut bytes = [0_u8; 512];
        let bytes = &mut bytes[..8 * N];
        self.reader.read_exact(bytes).expect("a writer");
        let word =
            |place: usize| u64::from_ne_bytes(bytes[8 * place..][..8].try_into().expect("8 bytes"));
        read::<N>(&std::array::from_fn(word))
    }

    fn check(&self, seq: u64) -> u64 {
        check::<N>(seq)
    }
}
