//! SipHash-1-3: a hash with a secret, so that nobody can choose keys that all come to lie in one place.
//!
//! Of our own and not std's, which may change with the compiler: processes that share a table must agree.

/// The hash of some bytes under a secret.
#[inline]
pub(super) fn hash(secret: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = [
        secret[0] ^ 0x736f_6d65_7073_6575,
        secret[1] ^ 0x646f_7261_6e64_6f6d,
        secret[0] ^ 0x6c79_6765_6e65_7261,
        secret[1] ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        absorb(&mut state, u64::from_le_bytes(*word));
    }
    let len = (bytes.len() as u64) << 56;
    absorb(&mut state, len | little_endian(rest, bytes));
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    state.iter().fold(0, |all, word| all ^ word)
}

/// The bytes of `rest`, at most seven, with which `all` ends, as a number.
#[inline(always)]
fn little_endian(rest: &[u8], all: &[u8]) -> u64 {
    let bits = 8 * rest.len() as u32;
    // Not by a copy, whose length nobody knows: that is a call.
    match (all.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
        (Some(last), ..) => u64::from_le_bytes(*last)
            .checked_shr(64 - bits)
            .unwrap_or(0),
        (None, Some(first), Some(last)) => {
            let [first, last] = [*first, *last].map(u32::from_le_bytes).map(u64::from);
            first | last << (bits - 32)
        }
        _ => rest
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)),
    }
}

#[inline(always)]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

#[inline(always)]
fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32).wrapping_add(d);
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    d = d.rotate_left(21) ^ a;
    *state = [a, b, c.rotate_left(32), d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    #[test]
    fn it_is_the_hash_that_std_has_today() {
        for len in 0..40_u8 {
            let bytes: Vec<u8> = (0..len).collect();
            let mut theirs = DefaultHasher::new(); // SipHash-1-3 with a secret of zeros
            theirs.write(&bytes);
            assert_eq!(hash([0; 2], &bytes), theirs.finish(), "{len} bytes");
            assert_ne!(hash([1, 2], &bytes), hash([0; 2], &bytes));
        }
    }
}
