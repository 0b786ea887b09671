//! Shared objects as messages: 32 bytes that attach on arrival.

use rkyv::bytecheck::CheckBytes;
use rkyv::traits::NoUndef;
use rkyv::{Place, Portable};

use crate::Result;
use crate::tenancy::RawHandle;

/// What a message holds of a queue, a lock or any other shared object: where it is, not what is in it.
///
/// It is of no use by itself; [`get_owned`](crate::Queue::get_owned) and
/// [`to_owned`](crate::Received::to_owned) attach it and give the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Portable, CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(transparent)]
pub struct ArchivedHandle([u8; RawHandle::LEN]);

// SAFETY: plain bytes, all of which are written.
unsafe impl NoUndef for ArchivedHandle {}

impl ArchivedHandle {
    pub(crate) fn raw(&self) -> RawHandle {
        RawHandle::from_bytes(&self.0)
    }
}

/// A shared object that travels as a handle; [`handle_message!`] makes it a message.
pub(crate) trait Handle: Sized + 'static {
    /// Where it is, as [`Tenant::handle`](crate::tenancy::Tenant::handle) says, which also notes the object for a child
    /// that is being started.
    fn to_raw(&self) -> RawHandle;

    /// The object at that place.
    ///
    /// # Errors
    ///
    /// `Gone` when it is there no more, `WrongType` when something else is.
    fn attach(raw: &RawHandle) -> Result<Self>;
}

pub(crate) fn resolve_handle<H: Handle>(handle: &H, out: Place<ArchivedHandle>) {
    out.write(ArchivedHandle(handle.to_raw().to_bytes()));
}

/// What a message holds of an object that consists of two, such as a condition with its lock elsewhere.
///
/// As an [`ArchivedHandle`] it is of use only where it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Portable, CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck)]
#[repr(transparent)]
pub struct ArchivedHandlePair([ArchivedHandle; 2]);

// SAFETY: plain bytes, all of which are written.
unsafe impl NoUndef for ArchivedHandlePair {}

impl ArchivedHandlePair {
    pub(crate) fn raw(&self) -> [RawHandle; 2] {
        self.0.map(|handle| handle.raw())
    }
}

/// A shared object that travels as two handles; [`handle_pair_message!`] makes it a message.
pub(crate) trait HandlePair: Sized + 'static {
    /// Where its parts are; see [`Handle::to_raw`].
    fn to_raw(&self) -> [RawHandle; 2];

    /// The object at those places.
    ///
    /// # Errors
    ///
    /// As for [`Handle::attach`].
    fn attach(raw: [RawHandle; 2]) -> Result<Self>;
}

pub(crate) fn resolve_handle_pair<H: HandlePair>(handle: &H, out: Place<ArchivedHandlePair>) {
    let bytes = handle.to_raw().map(|raw| ArchivedHandle(raw.to_bytes()));
    out.write(ArchivedHandlePair(bytes));
}

/// Makes a [`Handle`] a message: `handle_message!([T: Message] Queue<T>, "Queue", [T])`.
macro_rules! handle_message {
    ([$($generics:tt)*] $ty:ty, $name:literal, [$($part:ident),*]) => {
        $crate::message::handles_message! {
            [$($generics)*] $ty, $name, [$($part),*],
            $crate::message::ArchivedHandle, 32, $crate::message::resolve_handle,
            |raw| <$ty as $crate::message::Handle>::attach(&raw)
        }
    };
}

/// Makes a [`HandlePair`] a message, as [`handle_message!`] does with a [`Handle`].
macro_rules! handle_pair_message {
    ([$($generics:tt)*] $ty:ty, $name:literal, [$($part:ident),*]) => {
        $crate::message::handles_message! {
            [$($generics)*] $ty, $name, [$($part),*],
            $crate::message::ArchivedHandlePair, 64, $crate::message::resolve_handle_pair,
            |raw| <$ty as $crate::message::HandlePair>::attach(raw)
        }
    };
}

/// What the two macros above have in common.
macro_rules! handles_message {
    (
        [$($generics:tt)*] $ty:ty, $name:literal, [$($part:ident),*],
        $archived:ty, $len:literal, $resolve:path, $attach:expr
    ) => {
        impl<$($generics)*> ::rkyv::Archive for $ty {
            type Archived = $archived;
            type Resolver = ();

            fn resolve(&self, (): (), out: ::rkyv::Place<Self::Archived>) {
                $resolve(self, out);
            }
        }

        impl<$($generics)*> ::rkyv::Serialize<$crate::message::Sink> for $ty {
            fn serialize(
                &self,
                _: &mut $crate::message::Sink,
            ) -> ::std::result::Result<(), $crate::message::WriteError> {
                Ok(())
            }
        }

        impl<$($generics)*> ::rkyv::Deserialize<$ty, $crate::message::Reader> for $archived {
            fn deserialize(
                &self,
                _: &mut $crate::message::Reader,
            ) -> ::std::result::Result<$ty, $crate::message::InvalidMessage> {
                Ok(($attach)(self.raw())?)
            }
        }

        // SAFETY: the bodies of every archived type; a handle always takes as many bytes.
        unsafe impl<$($generics)*> $crate::message::Message for $ty {
            const FIXED: Option<usize> = Some($len);
            const FINGERPRINT: u64 =
                $crate::message::Shape::new($name)$(.with($part::FINGERPRINT))*.finish();

            fn type_name() -> String {
                let parts: &[String] = &[$($part::type_name()),*];
                match parts {
                    [] => $name.into(),
                    parts => format!("{}<{}>", $name, parts.join(", ")),
                }
            }

            $crate::__message_in_place!();
        }
    };
}

pub(crate) use {handle_message, handle_pair_message, handles_message};
