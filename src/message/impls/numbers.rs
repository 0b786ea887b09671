//! Numbers, `bool`, `char`, `()`, and durations: always of fixed size.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::time::Duration;

use rkyv::primitive;
use rkyv::time::ArchivedDuration;

use crate::message::{Encode, Message, Shape, inline_size};

macro_rules! fixed {
    ($any_bits:literal: $($ty:ty),* $(,)?) => { $(
        // SAFETY: the bodies of every archived type; all values of the type have the size of its archived form.
        unsafe impl Message for $ty {
            const ANY_BITS: bool = $any_bits;
            const FIXED: Option<usize> = Some(inline_size::<Self>());
            const FINGERPRINT: u64 = Shape::new(stringify!($ty)).finish();

            fn type_name() -> String {
                stringify!($ty).into()
            }

            crate::__message_in_place!();
        }
    )* };
}

fixed!(
    true: u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    u64,
    i64,
    u128,
    i128,
    usize,
    isize,
    f32,
    f64,
);

fixed!(
    false: (),
    bool,
    char,
    NonZeroU8,
    NonZeroI8,
    NonZeroU16,
    NonZeroI16,
    NonZeroU32,
    NonZeroI32,
    NonZeroU64,
    NonZeroI64,
    NonZeroU128,
    NonZeroI128,
    NonZeroUsize,
    NonZeroIsize,
    Duration,
    Ipv4Addr,
    Ipv6Addr,
);

macro_rules! forwarded {
    ($($archived:ty: $ty:ty),* $(,)?) => { $(
        impl Encode<$ty> for &$archived {
            crate::__message_forward!($ty);
        }
    )* };
}

// `u8`, `bool` and their like are their own archived form, and so are covered as plain values.
forwarded!(
    primitive::ArchivedChar: char,
    primitive::ArchivedU16: u16,
    primitive::ArchivedI16: i16,
    primitive::ArchivedU32: u32,
    primitive::ArchivedI32: i32,
    primitive::ArchivedU64: u64,
    primitive::ArchivedI64: i64,
    primitive::ArchivedU128: u128,
    primitive::ArchivedI128: i128,
    primitive::ArchivedF32: f32,
    primitive::ArchivedF64: f64,
    ArchivedDuration: Duration,
);
