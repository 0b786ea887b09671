//! Messages of bytes: written whole by the sender, read whole by the receiver, and comparable by one sum.

use std::sync::Arc;

use super::lined::Lined;

/// What every variable-size contender sends: a sequence number, then filler.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Arc<Lined<u8>>,
    filler: u64,
    touched: bool,
}

impl Payload {
    const WORD: usize = 8;

    /// Messages of `len` bytes, every one of them written and read; `len` is a multiple of 8.
    pub fn touched(len: usize) -> Self {
        assert!(len >= Self::WORD && len.is_multiple_of(Self::WORD));
        let word = |place: usize| (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bytes: Vec<u8> = (0..len / Self::WORD)
            .flat_map(|place| word(place).to_ne_bytes())
            .collect();
        let filler = sum(&bytes[Self::WORD..]);
        Self {
            bytes: Arc::new(Lined::new(&bytes)),
            filler,
            touched: true,
        }
    }

    /// Messages of `len` bytes of which only the first word is written and read.
    pub fn untouched(len: usize) -> Self {
        Self {
            filler: 0,
            touched: false,
            ..Self::touched(len)
        }
    }

    /// The length of a message.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the message that carries `seq`.
    #[inline]
    pub fn write(&self, room: &mut [u8], seq: u64) {
        if self.touched {
            room[Self::WORD..].copy_from_slice(&self.bytes[Self::WORD..]);
        }
        room[..Self::WORD].copy_from_slice(&seq.to_ne_bytes());
    }

    /// Reads a message: its number, and the sum of its words.
    #[inline]
    pub fn read(&self, message: &[u8]) -> (u64, u64) {
        assert_eq!(message.len(), self.bytes.len(), "length of a message");
        let seq = sum(&message[..Self::WORD]);
        (seq, if self.touched { sum(message) } else { seq })
    }

    /// The sum of the words of the message that carries `seq`.
    #[inline]
    pub fn check(&self, seq: u64) -> u64 {
        seq.wrapping_add(self.filler)
    }
}

/// By lines, as the compiler reads an array whose length it knows: a loop of two loads has fewer lines on their way.
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let (lines, rest) = bytes.as_chunks::<128>();
    let whole = lines
        .iter()
        .fold(0, |sum: u64, line| sum.wrapping_add(words(line)));
    whole.wrapping_add(words(rest))
}

#[inline(always)]
fn words(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<{ Payload::WORD }>();
    let words = words.iter().map(|word| u64::from_ne_bytes(*word));
    words.fold(0, u64::wrapping_add)
}
