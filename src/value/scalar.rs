//! The types that a [`Value`](super::Value) can hold, and the atomic instruction behind each operation.

use crate::sys::atomic::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::fmt;

/// What a [`Value`](crate::Value) can hold: integers of up to 64 bits, floats and `bool`.
///
/// Sealed: the list is that of the processor.
pub trait Scalar:
    Copy + PartialEq + fmt::Debug + fmt::Display + Send + Sync + 'static + Atom
{
}

/// Scalars that can be added and compared: integers and floats.
pub trait Number: Scalar + Arithmetic {}

/// Scalars that are sets of bits: integers and `bool`.
pub trait Bits: Scalar + Logic {}

/// The sealed half of [`Scalar`].
pub trait Atom: Sized {
    /// The atomic of the same size.
    type Cell: 'static;
    const NAME: &'static str;

    fn load(cell: &Self::Cell) -> Self;
    fn swap(cell: &Self::Cell, value: Self) -> Self;
    fn compare_exchange(cell: &Self::Cell, current: Self, new: Self) -> Result<Self, Self>;
    /// A load that is ordered by something else, a lock for instance.
    fn peek(cell: &Self::Cell) -> Self;
    /// A store that is ordered by something else.
    fn put(cell: &Self::Cell, value: Self);
}

/// The sealed half of [`Number`].
pub trait Arithmetic: Atom {
    fn fetch_add(cell: &Self::Cell, amount: Self) -> Self;
    fn fetch_sub(cell: &Self::Cell, amount: Self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
}

/// The sealed half of [`Bits`].
pub trait Logic: Atom {
    fn fetch_and(cell: &Self::Cell, mask: Self) -> Self;
    fn fetch_or(cell: &Self::Cell, mask: Self) -> Self;
    fn fetch_xor(cell: &Self::Cell, mask: Self) -> Self;
}

// Every operation but the last two is sequentially consistent: it pairs with every other one on any value, in one order for
// all.
macro_rules! atom {
    ($scalar:ty, $cell:ty, $to:expr, $from:expr) => {
        impl Scalar for $scalar {}

        impl Atom for $scalar {
            type Cell = $cell;
            const NAME: &'static str = stringify!($scalar);

            #[inline]
            fn load(cell: &$cell) -> Self {
                $from(cell.load(SeqCst))
            }

            #[inline]
            fn swap(cell: &$cell, value: Self) -> Self {
                $from(cell.swap($to(value), SeqCst))
            }

            #[inline]
            fn compare_exchange(cell: &$cell, current: Self, new: Self) -> Result<Self, Self> {
                cell.compare_exchange($to(current), $to(new), SeqCst, SeqCst)
                    .map($from)
                    .map_err($from)
            }

            #[inline]
            fn peek(cell: &$cell) -> Self {
                $from(cell.load(Relaxed)) // ordered by the caller
            }

            #[inline]
            fn put(cell: &$cell, value: Self) {
                cell.store($to(value), Relaxed); // ordered by the caller
            }
        }
    };
}

macro_rules! logic {
    ($scalar:ty, $cell:ty, $to:expr, $from:expr) => {
        impl Bits for $scalar {}

        impl Logic for $scalar {
            #[inline]
            fn fetch_and(cell: &$cell, mask: Self) -> Self {
                $from(cell.fetch_and($to(mask), SeqCst))
            }

            #[inline]
            fn fetch_or(cell: &$cell, mask: Self) -> Self {
                $from(cell.fetch_or($to(mask), SeqCst))
            }

            #[inline]
            fn fetch_xor(cell: &$cell, mask: Self) -> Self {
                $from(cell.fetch_xor($to(mask), SeqCst))
            }
        }
    };
}

/// Signed integers are kept as unsigned ones: the sum of two's complements is the same.
macro_rules! integers {
    ($($scalar:ty as $bits:ty, $cell:ty;)*) => {$(
        atom!($scalar, $cell, |v: $scalar| v as $bits, |b: $bits| b as $scalar);
        logic!($scalar, $cell, |v: $scalar| v as $bits, |b: $bits| b as $scalar);

        impl Number for $scalar {}

        impl Arithmetic for $scalar {
            #[inline]
            fn fetch_add(cell: &$cell, amount: Self) -> Self {
                cell.fetch_add(amount as $bits, SeqCst) as $scalar
            }

            #[inline]
            fn fetch_sub(cell: &$cell, amount: Self) -> Self {
                cell.fetch_sub(amount as $bits, SeqCst) as $scalar
            }

            #[inline]
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }

            #[inline]
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )*};
}

integers! {
    u8 as u8, AtomicU8;
    i8 as u8, AtomicU8;
    u16 as u16, AtomicU16;
    i16 as u16, AtomicU16;
    u32 as u32, AtomicU32;
    i32 as u32, AtomicU32;
    u64 as u64, AtomicU64;
    i64 as u64, AtomicU64;
    usize as u64, AtomicU64;
    isize as u64, AtomicU64;
}

/// No processor adds floats in one step, so a sum is exchanged for the old value until nobody was faster.
macro_rules! floats {
    ($($scalar:ty, $bits:ty, $cell:ty;)*) => {$(
        atom!($scalar, $cell, <$scalar>::to_bits, <$scalar>::from_bits);

        impl Number for $scalar {}

        impl Arithmetic for $scalar {
            #[inline]
            fn fetch_add(cell: &$cell, amount: Self) -> Self {
                let mut seen = Self::load(cell);
                loop {
                    match Self::compare_exchange(cell, seen, seen + amount) {
                        Ok(old) => return old,
                        Err(now) => seen = now,
                    }
                }
            }

            #[inline]
            fn fetch_sub(cell: &$cell, amount: Self) -> Self {
                Self::fetch_add(cell, -amount)
            }

            #[inline]
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }

            #[inline]
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )*};
}

floats! {
    f32, u32, AtomicU32;
    f64, u64, AtomicU64;
}

// Whatever another process has stored, a byte that is not 0 is `true`.
atom!(bool, AtomicU8, u8::from, |byte: u8| byte != 0);
logic!(bool, AtomicU8, u8::from, |byte: u8| byte != 0);

const _: () = assert!(size_of::<usize>() == size_of::<u64>());
