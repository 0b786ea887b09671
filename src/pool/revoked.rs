//! The chunks in the queue of which no worker is to begin a task any more.

use crate::Result;
use crate::value::Value;

/// A bit for each chunk that the queue has room for: number by number, and around again.
pub(super) type Words = [Value<u64>; WORDS];

const WORDS: usize = 32;

/// As many chunks as there are bits.
pub(super) const CHUNKS: usize = 64 * WORDS;

/// No chunk is revoked.
///
/// # Errors
///
/// `NoSpace`.
pub(super) fn none() -> Result<Words> {
    let mut words = Vec::new();
    for _ in 0..WORDS {
        words.push(Value::new(0)?);
    }
    Ok(words
        .try_into()
        .unwrap_or_else(|_| unreachable!("so many were pushed")))
}

fn place(number: u64) -> (usize, u64) {
    let at = number % CHUNKS as u64;
    ((at / 64) as usize, 1 << (at % 64))
}

/// Has nobody begin a task of this chunk from now on.
#[cold]
pub(super) fn revoke(words: &Words, number: u64) {
    let (word, bit) = place(number);
    words[word].fetch_or(bit);
}

/// Makes the place of this chunk, which is put now, that of one that is to be run.
#[inline]
pub(super) fn allow(words: &Words, number: u64) {
    let (word, bit) = place(number);
    if words[word].load() & bit != 0 {
        words[word].fetch_and(!bit);
    }
}

/// Whether the chunk is not to be run.
#[inline]
pub(super) fn is_revoked(words: &Words, number: u64) -> bool {
    let (word, bit) = place(number);
    words[word].load() & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_has_a_bit_for_as_long_as_it_can_be_in_the_queue() {
        let words = none().unwrap();
        let all = 5000..5000 + CHUNKS as u64;
        revoke(&words, 5000);
        revoke(&words, 5777);
        assert!(
            all.clone()
                .filter(|&n| is_revoked(&words, n))
                .eq([5000, 5777])
        );
        allow(&words, 5000 + CHUNKS as u64);
        assert!(all.filter(|&n| is_revoked(&words, n)).eq([5777]));
    }
}
