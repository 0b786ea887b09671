//! Fingerprints: what a type looks like in memory, as a number that two programs can compare.

use rkyv::primitive::{ArchivedU16, ArchivedU64, ArchivedUsize};

/// A 64-bit FNV-1a hash, built at compile time from names and the fingerprints of parts.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Shape(u64);

impl Shape {
    /// Starts the shape of something called `name`.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        Shape(0xcbf2_9ce4_8422_2325).name(name)
    }

    /// Adds a name: of a field, a variant, a type.
    #[must_use]
    pub const fn name(self, name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut shape = self;
        let mut i = 0;
        while i < bytes.len() {
            shape = shape.byte(bytes[i]);
            i += 1;
        }
        // No byte of UTF-8: "ab","c" differs from "a","bc".
        shape.byte(0xff)
    }

    /// Adds a number: the fingerprint of a part, a length, a size.
    #[must_use]
    pub const fn with(self, number: u64) -> Self {
        let bytes = number.to_le_bytes();
        let mut shape = self;
        let mut i = 0;
        while i < bytes.len() {
            shape = shape.byte(bytes[i]);
            i += 1;
        }
        shape
    }

    /// Adds a named part.
    #[must_use]
    pub const fn field(self, name: &str, fingerprint: u64) -> Self {
        self.name(name).with(fingerprint)
    }

    /// The fingerprint.
    #[must_use]
    pub const fn finish(self) -> u64 {
        self.0
    }

    const fn byte(self, byte: u8) -> Self {
        Shape((self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

/// The format that this build of the serialiser writes: its features are global to a program, so another program may
/// have others.
#[doc(hidden)]
pub const FORMAT: u64 = Shape::new("rkyv 0.8")
    .field("pointer", size_of::<ArchivedUsize>() as u64)
    .field("align", align_of::<ArchivedU64>() as u64)
    .field("order", first_byte_of_one() as u64)
    .finish();

const fn first_byte_of_one() -> u8 {
    // SAFETY: the archived form of a u16 is two plain bytes in some order.
    let bytes: [u8; 2] = unsafe { std::mem::transmute(ArchivedU16::from_native(1)) };
    bytes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use std::collections::{BTreeMap, HashMap};

    #[test]
    fn names_do_not_run_together() {
        let a = Shape::new("t").name("ab").name("c").finish();
        let b = Shape::new("t").name("a").name("bc").finish();
        assert_ne!(a, b);
    }

    #[test]
    fn parts_and_their_order_count() {
        assert_ne!(<(u32, u64)>::FINGERPRINT, <(u64, u32)>::FINGERPRINT);
        assert_ne!(u64::FINGERPRINT, i64::FINGERPRINT);
        assert_ne!(<Vec<u8>>::FINGERPRINT, <Vec<i8>>::FINGERPRINT);
        assert_ne!(<[u8; 2]>::FINGERPRINT, <[u8; 3]>::FINGERPRINT);
        assert_ne!(
            <HashMap<u8, u8>>::FINGERPRINT,
            <BTreeMap<u8, u8>>::FINGERPRINT
        );
    }

    #[test]
    fn the_format_is_wide_and_little_endian() {
        assert_eq!(size_of::<ArchivedUsize>(), 8);
        assert_eq!(first_byte_of_one(), 1);
    }
}
