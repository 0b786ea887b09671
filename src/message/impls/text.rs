//! Strings, and what may be put where a `String` is expected.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;

use rkyv::string::{ArchivedString, StringResolver};
use rkyv::{Archive, Place, Serialize};

use crate::message::write::{WriteError, write_value};
use crate::message::{Encode, Message, Shape, Sink, inline_size};

/// Text up to this length lies inside of the fixed part.
const INLINE: usize = inline_size::<String>();

fn extra(text: &str) -> usize {
    if text.len() > INLINE { text.len() } else { 0 }
}

// SAFETY: the bodies of every archived type; the length varies.
unsafe impl Message for String {
    const FIXED: Option<usize> = None;
    const FINGERPRINT: u64 = Shape::new("String").finish();

    fn type_name() -> String {
        "String".into()
    }

    #[inline]
    fn extra(&self) -> usize {
        extra(self)
    }

    crate::__message_in_place!();
}

// SAFETY: as `String`.
unsafe impl Message for Box<str> {
    const FIXED: Option<usize> = None;
    const FINGERPRINT: u64 = Shape::new("Box<str>").finish();

    fn type_name() -> String {
        "Box<str>".into()
    }

    #[inline]
    fn extra(&self) -> usize {
        self.len()
    }

    crate::__message_in_place!();
}

/// Borrowed text that archives as a `String` does.
#[derive(Debug)]
struct Text<'a>(&'a str);

impl Archive for Text<'_> {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    #[inline]
    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(self.0, resolver, out);
    }
}

impl Serialize<Sink> for Text<'_> {
    #[inline]
    fn serialize(&self, sink: &mut Sink) -> Result<StringResolver, WriteError> {
        ArchivedString::serialize_from_str(self.0, sink)
    }
}

macro_rules! text {
    ($($ty:ty),* $(,)?) => { $(
        impl Encode<String> for $ty {
            #[inline]
            fn guess(&self) -> usize {
                INLINE + extra(self)
            }

            #[inline]
            fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
                write_value(&Text(self), room, None)
            }
        }
    )* };
}

text!(
    &str,
    &&str,
    Box<str>,
    &Box<str>,
    Rc<str>,
    Arc<str>,
    Cow<'_, str>,
    &Cow<'_, str>,
    &ArchivedString,
);
