//! Boxes, options, results, arrays and tuples.

use rkyv::option::ArchivedOption;
use rkyv::result::ArchivedResult;
use rkyv::{Archived, tuple};

use crate::message::{Encode, Message, Shape, inline_size};

// SAFETY: the bodies of every archived type; the contents lie out of line.
unsafe impl<T: Message> Message for Box<T> {
    const FIXED: Option<usize> = None;
    const FINGERPRINT: u64 = Shape::new("Box").with(T::FINGERPRINT).finish();

    fn type_name() -> String {
        format!("Box<{}>", T::type_name())
    }

    #[inline]
    fn extra(&self) -> usize {
        inline_size::<T>() + (**self).extra()
    }

    crate::__message_in_place!();
}

// SAFETY: the bodies of every archived type; `None` takes the room of `Some`.
unsafe impl<T: Message> Message for Option<T> {
    const FIXED: Option<usize> = match T::FIXED {
        Some(_) => Some(inline_size::<Self>()),
        None => None,
    };
    const FINGERPRINT: u64 = Shape::new("Option").with(T::FINGERPRINT).finish();

    fn type_name() -> String {
        format!("Option<{}>", T::type_name())
    }

    #[inline]
    fn extra(&self) -> usize {
        self.as_ref().map_or(0, Message::extra)
    }

    crate::__message_in_place!();
}

// SAFETY: the bodies of every archived type; both variants take the room of the larger one.
unsafe impl<T: Message, E: Message> Message for Result<T, E> {
    const FIXED: Option<usize> = match (T::FIXED, E::FIXED) {
        (Some(_), Some(_)) => Some(inline_size::<Self>()),
        _ => None,
    };
    const FINGERPRINT: u64 = Shape::new("Result")
        .with(T::FINGERPRINT)
        .with(E::FINGERPRINT)
        .finish();

    fn type_name() -> String {
        format!("Result<{}, {}>", T::type_name(), E::type_name())
    }

    #[inline]
    fn extra(&self) -> usize {
        match self {
            Ok(value) => value.extra(),
            Err(error) => error.extra(),
        }
    }

    crate::__message_in_place!();
}

// SAFETY: the bodies of every archived type; an array is fixed when its elements are.
unsafe impl<T: Message, const N: usize> Message for [T; N] {
    const FIXED: Option<usize> = match T::FIXED {
        Some(_) => Some(inline_size::<Self>()),
        None => None,
    };
    const ANY_BITS: bool = T::ANY_BITS;
    const FINGERPRINT: u64 = Shape::new("array")
        .with(T::FINGERPRINT)
        .with(N as u64)
        .finish();

    fn type_name() -> String {
        format!("[{}; {N}]", T::type_name())
    }

    #[inline]
    fn extra(&self) -> usize {
        match T::FIXED {
            Some(_) => 0,
            None => self.iter().map(Message::extra).sum(),
        }
    }

    crate::__message_in_place!();
}

impl<T: Message> Encode<Option<T>> for &ArchivedOption<Archived<T>> {
    crate::__message_forward!(Option<T>);
}

impl<T: Message, E: Message> Encode<Result<T, E>> for &ArchivedResult<Archived<T>, Archived<E>> {
    crate::__message_forward!(Result<T, E>);
}

macro_rules! tuples {
    ($archived:ident, $($part:ident $index:tt),*) => {
        // SAFETY: the bodies of every archived type; a tuple is fixed when its parts are.
        unsafe impl<$($part: Message),*> Message for ($($part,)*) {
            const FIXED: Option<usize> = if true $(&& $part::FIXED.is_some())* {
                Some(inline_size::<Self>())
            } else {
                None
            };
            const FINGERPRINT: u64 = Shape::new("tuple")$(.with($part::FINGERPRINT))*.finish();

            fn type_name() -> String {
                let parts = [$($part::type_name()),*];
                match &parts[..] {
                    [one] => format!("({one},)"),
                    all => format!("({})", all.join(", ")),
                }
            }

            #[inline]
            fn extra(&self) -> usize {
                0 $(+ self.$index.extra())*
            }

            crate::__message_in_place!();
        }

        impl<$($part: Message),*> Encode<($($part,)*)> for &tuple::$archived<$(Archived<$part>),*> {
            crate::__message_forward!(($($part,)*));
        }
    };
}

tuples!(ArchivedTuple1, A 0);
tuples!(ArchivedTuple2, A 0, B 1);
tuples!(ArchivedTuple3, A 0, B 1, C 2);
tuples!(ArchivedTuple4, A 0, B 1, C 2, D 3);
tuples!(ArchivedTuple5, A 0, B 1, C 2, D 3, E 4);
tuples!(ArchivedTuple6, A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(ArchivedTuple7, A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(ArchivedTuple8, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(ArchivedTuple9, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(ArchivedTuple10, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(ArchivedTuple11, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(ArchivedTuple12, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
