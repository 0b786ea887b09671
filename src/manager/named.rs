//! What can be in a manager under a name, and how it is made there.

use super::cell;
use super::core::Core;
use super::dict;
use super::directory::{Form, Sort};
use super::{Cell, Dict, Key, Manager};
use crate::message::{Message, Plain, plain_fingerprint, segment_fingerprint};
use crate::segment::layout::fingerprint;
use crate::tenancy::{Blueprint, remove_deserted};
use crate::{
    Barrier, BoundedSemaphore, Condition, Error, ErrorKind, Event, Latch, Lock, OnceValue, Queue,
    ReentrantLock, Result, RwLock, Scalar, Semaphore, Shared, SharedStruct, Value,
};
use std::sync::Arc;

/// What a [`Manager`] can have under a name, and [`find`](Manager::find).
pub trait Named: Sized {
    /// The object of this type in `manager` that is called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`Manager::find`].
    #[doc(hidden)]
    fn find_in(manager: &Manager, name: &str) -> Result<Self>;
}

impl<T: Message> Named for Cell<T> {
    fn find_in(manager: &Manager, name: &str) -> Result<Self> {
        let index = manager.core.find(name, cell::form::<T>())?;
        Cell::at(Arc::clone(&manager.core), index)
    }
}

impl<K: Key, V: Message> Named for Dict<K, V> {
    fn find_in(manager: &Manager, name: &str) -> Result<Self> {
        let index = manager.core.find(name, dict::form::<K, V>())?;
        Dict::at(Arc::clone(&manager.core), index)
    }
}

/// A noun whose segment lies beside the manager's: an annex.
pub(super) trait Noun: Sized {
    /// What the directory says that it is.
    fn form() -> Result<Form>;

    /// The one whose segment has that name.
    fn open(annex: &str) -> Result<Self>;
}

macro_rules! nouns {
    ($([$($generics:tt)*] $noun:ty, $sort:ident, $fingerprint:expr;)*) => {$(
        impl<$($generics)*> Noun for $noun {
            fn form() -> Result<Form> {
                let (sort, fingerprint) = (Sort::$sort, $fingerprint);
                Ok(Form { sort, fingerprint })
            }

            fn open(annex: &str) -> Result<Self> {
                <$noun>::open(annex)
            }
        }

        impl<$($generics)*> Named for $noun {
            fn find_in(manager: &Manager, name: &str) -> Result<Self> {
                manager.core.find_annex(name)
            }
        }
    )*};
}

nouns! {
    [T: Message] Queue<T>, Queue, segment_fingerprint::<T>();
    [T: Plain] Lock<T>, Lock, plain_fingerprint::<T>();
    [T: Plain] ReentrantLock<T>, ReentrantLock, plain_fingerprint::<T>();
    [T: Plain] RwLock<T>, RwLock, plain_fingerprint::<T>();
    [T: Plain] Condition<T>, Condition, plain_fingerprint::<T>();
    [T: Plain] OnceValue<T>, Once, plain_fingerprint::<T>();
    [T: Scalar] Value<T>, Value, fingerprint(T::NAME.as_bytes());
    [T: SharedStruct] Shared<T>, Shared, Blueprint::of::<T>(T::NAME)?.form().fingerprint;
    [] Event, Event, 0;
    [] Latch, Latch, 0;
    [] Barrier, Barrier, 0;
    [] Semaphore, Semaphore, 0;
    [] BoundedSemaphore, BoundedSemaphore, 0;
}

impl Core {
    /// The noun called `name`, or the one that `make` makes under the name of an annex.
    ///
    /// The row is begun before there is a file, and says what it is when the file is complete: at no time is there one of
    /// which the directory does not know.
    ///
    /// # Errors
    ///
    /// Those of [`find_or_make`](Core::find_or_make), what `make` says, and `Gone` if the annex was removed.
    pub(super) fn annex<N: Noun>(
        &self,
        name: &str,
        make: impl FnOnce(&str) -> Result<N>,
    ) -> Result<N> {
        let mut made = None;
        let index = self.find_or_make(name, N::form()?, |place| {
            if !self.tenant.has_annexes() {
                remove_deserted();
            }
            let annex = self.tenant.annex(self.begin_annex(place)?)?;
            made = Some(make(&annex)?);
            Ok(())
        })?;
        match made {
            Some(noun) => Ok(noun),
            None => self.open_annex(index),
        }
    }

    fn find_annex<N: Noun>(&self, name: &str) -> Result<N> {
        let index = self.find(name, N::form()?)?;
        self.open_annex(index)
    }

    fn open_annex<N: Noun>(&self, index: u32) -> Result<N> {
        let annex = self.tenant.annex(index)?;
        N::open(&annex).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let text = "the segment of the manager's object was removed from the directory";
                Error::new(ErrorKind::Gone, text).with_source(error)
            }
            _ => error,
        })
    }
}
