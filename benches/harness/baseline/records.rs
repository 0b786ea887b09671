//! The plain ring for messages of bytes: each slot has room for the longest, the length travels with the bytes.

use std::mem::MaybeUninit;

use super::PlainRing;
use crate::harness::payload::Payload;
use crate::harness::workload::Endpoint;

/// A slot's content: up to `MAX` bytes.
#[derive(Debug)]
#[repr(C)]
pub struct Record<const MAX: usize> {
    len: u64,
    bytes: [u8; MAX],
}

/// One end of a plain ring of records.
#[derive(Clone, Debug)]
pub struct Records<'a, const MAX: usize> {
    ring: &'a PlainRing<Record<MAX>>,
    payload: Payload,
}

impl<'a, const MAX: usize> Records<'a, MAX> {
    /// Sends and receives messages like `payload`.
    pub fn new(ring: &'a PlainRing<Record<MAX>>, payload: Payload) -> Self {
        assert!(payload.len() <= MAX);
        Self { ring, payload }
    }
}

impl<const MAX: usize> Endpoint for Records<'_, MAX> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let payload = &self.payload;
        self.ring.push(|slot: &mut MaybeUninit<Record<MAX>>| {
            // SAFETY: shared memory is zeroed at creation and only ever written with bytes, and any bytes are a record.
            let record = unsafe { slot.assume_init_mut() };
            record.len = payload.len() as u64;
            payload.write(&mut record.bytes[..payload.len()], seq);
        });
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let payload = &self.payload;
        self.ring
            .pop(|record| payload.read(&record.bytes[..record.len as usize]))
    }

    fn check(&self, seq: u64) -> u64 {
        self.payload.check(seq)
    }
}
