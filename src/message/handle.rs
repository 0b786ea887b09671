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

/// Makes a [`Handle`] a message: `handle_message!([T: Message] Queue<T>, "Queue", [T])`.
macro_rules! handle_message {
    ([$($generics:tt)*] $ty:ty, $name:literal, [$($part:ident),*]) => {
        impl<$($generics)*> ::rkyv::Archive for $ty {
            type Archived = $crate::message::ArchivedHandle;
            type Resolver = ();

            fn resolve(&self, (): (), out: ::rkyv::Place<Self::Archived>) {
                $crate::message::resolve_handle(self, out);
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

        impl<$($generics)*> ::rkyv::Deserialize<$ty, $crate::message::Reader>
            for $crate::message::ArchivedHandle
        {
            fn deserialize(
                &self,
                _: &mut $crate::message::Reader,
            ) -> ::std::result::Result<$ty, $crate::message::InvalidMessage> {
                Ok(<$ty as $crate::message::Handle>::attach(&self.raw())?)
            }
        }

        // SAFETY: the bodies of every archived type; a handle always takes 32 bytes.
        unsafe impl<$($generics)*> $crate::message::Message for $ty {
            const FIXED: Option<usize> = Some(32);
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

pub(crate) use handle_message;
