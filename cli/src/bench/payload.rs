//! Messages of bytes: written whole by the sender, read whole by the receiver, and comparable by one sum.

/// What is sent: a first word that differs from message to message, then filler.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    filler: u64,
}

impl Payload {
    /// The bytes of a word; lengths are multiples of it.
    pub const WORD: usize = 8;

    /// Messages of `len` bytes.
    ///
    /// # Panics
    ///
    /// When `len` is no whole number of words.
    pub fn new(len: usize) -> Self {
        assert!(len >= Payload::WORD && len.is_multiple_of(Payload::WORD));
        let words = (0..len / Payload::WORD).map(filler);
        let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        let filler = sum(&bytes[Payload::WORD..]);
        Payload { bytes, filler }
    }

    /// The length of a message.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the message that begins with `first`.
    #[inline]
    pub fn write(&self, room: &mut [u8], first: u64) {
        room[Payload::WORD..].copy_from_slice(&self.bytes[Payload::WORD..]);
        room[..Payload::WORD].copy_from_slice(&first.to_ne_bytes());
    }

    /// Reads a message: its first word, and the sum of all its words.
    #[inline]
    pub fn read(message: &[u8]) -> (u64, u64) {
        let (first, rest) = message.split_at(Payload::WORD);
        let first = sum(first);
        (first, first.wrapping_add(sum(rest)))
    }

    /// The sum of the words of the message that begins with `first`.
    #[inline]
    pub fn check(&self, first: u64) -> u64 {
        first.wrapping_add(self.filler)
    }
}

/// The word at a place behind the first.
#[inline]
pub fn filler(place: usize) -> u64 {
    (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for len in [8, 64, 1024, 1048] {
            let (payload, mut room) = (Payload::new(len), vec![0; len]);
            payload.write(&mut room, 77);
            assert_eq!(Payload::read(&room), (77, payload.check(77)), "{len}");
        }
    }
}
