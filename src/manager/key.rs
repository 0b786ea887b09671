//! [`Key`]: what a dictionary can be looked up by.

use crate::segment::layout::fingerprint;

/// What can be the key of a [`Dict`](crate::Dict): integers, `String` and `Vec<u8>`.
///
/// A key is looked up in its borrowed form, without making one: `dict.get("name")`, `dict.get(&7)`.
pub trait Key: Sized + 'static {
    /// The form in which it is looked up: `str` for `String`, `[u8]` for `Vec<u8>`, itself for a number.
    type Borrowed: ?Sized;

    /// What tells keys of this type from those of others.
    #[doc(hidden)]
    const NAME: &'static str;

    /// A number that stands for the name.
    #[doc(hidden)]
    const FINGERPRINT: u64 = fingerprint(Self::NAME.as_bytes());

    /// The name of the type, as people write it.
    #[doc(hidden)]
    fn type_name() -> String {
        Self::NAME.to_owned()
    }

    /// Lends the bytes that stand for it, the same for equal keys and others for others.
    #[doc(hidden)]
    fn lend<R>(key: &Self::Borrowed, act: impl FnOnce(&[u8]) -> R) -> R;

    /// The key for which these bytes stand.
    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ident),*) => {$(
        impl Key for $integer {
            type Borrowed = $integer;
            const NAME: &'static str = stringify!($integer);

            #[inline(always)]
            fn lend<R>(key: &$integer, act: impl FnOnce(&[u8]) -> R) -> R {
                act(&key.to_le_bytes())
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map($integer::from_le_bytes)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

impl Key for String {
    type Borrowed = str;
    const NAME: &'static str = "String";

    #[inline(always)]
    fn lend<R>(key: &str, act: impl FnOnce(&[u8]) -> R) -> R {
        act(key.as_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for Vec<u8> {
    type Borrowed = [u8];
    const NAME: &'static str = "Vec<u8>";

    #[inline(always)]
    fn lend<R>(key: &[u8], act: impl FnOnce(&[u8]) -> R) -> R {
        act(key)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}
