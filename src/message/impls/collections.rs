//! Vectors, maps and sets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::mem::MaybeUninit;

use rkyv::collections::swiss_table::{ArchivedHashMap, ArchivedHashSet};
use rkyv::collections::{btree_map::ArchivedBTreeMap, btree_set::ArchivedBTreeSet};
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Archived, Place, Serialize};

use crate::message::write::{WriteError, write_value};
use crate::message::{Encode, Message, Shape, Sink, inline_size};

/// What `len` elements need, taking the first one as typical.
#[inline]
fn elements<'a, T: Message>(len: usize, mut all: impl Iterator<Item = &'a T>) -> usize {
    let each = match (T::FIXED, all.next()) {
        (Some(size), _) => size,
        (None, Some(first)) => inline_size::<T>() + first.extra(),
        (None, None) => 0,
    };
    len.saturating_mul(each)
}

macro_rules! sequence {
    ($name:literal, [$($generics:tt)*], $ty:ty, $element:ident) => {
        // SAFETY: the bodies of every archived type; the length varies.
        unsafe impl<$($generics)*> Message for $ty
        where
            $element: Message,
        {
            const FIXED: Option<usize> = None;
            const FINGERPRINT: u64 = Shape::new($name).with($element::FINGERPRINT).finish();

            fn type_name() -> String {
                format!(concat!($name, "<{}>"), $element::type_name())
            }

            #[inline]
            fn extra(&self) -> usize {
                elements(self.len(), self.iter())
            }

            crate::__message_in_place!();
        }
    };
}

sequence!("Vec", [T], Vec<T>, T);
sequence!("VecDeque", [T], VecDeque<T>, T);
sequence!("Box<[]>", [T], Box<[T]>, T);
sequence!("BTreeSet", [T: Ord + Archive<Archived: Ord>], BTreeSet<T>, T);
sequence!(
    "HashSet",
    [T: Hash + Eq + Archive<Archived: Hash + Eq>, H: BuildHasher + Default + 'static],
    HashSet<T, H>,
    T
);

macro_rules! map {
    ($name:literal, [$($generics:tt)*], $ty:ty) => {
        // SAFETY: the bodies of every archived type; the length varies.
        unsafe impl<$($generics)*> Message for $ty
        where
            K: Message,
            V: Message,
        {
            const FIXED: Option<usize> = None;
            const FINGERPRINT: u64 =
                Shape::new($name).with(K::FINGERPRINT).with(V::FINGERPRINT).finish();

            fn type_name() -> String {
                format!(concat!($name, "<{}, {}>"), K::type_name(), V::type_name())
            }

            fn extra(&self) -> usize {
                elements(self.len(), self.keys()) + elements(self.len(), self.values())
            }

            crate::__message_in_place!();
        }
    };
}

map!("BTreeMap", [K: Ord + Archive<Archived: Ord>, V], BTreeMap<K, V>);
map!(
    "HashMap",
    [K: Hash + Eq + Archive<Archived: Hash + Eq>, V, H: BuildHasher + Default + 'static],
    HashMap<K, V, H>
);

/// A borrowed slice that archives as a `Vec` does.
#[derive(Debug)]
struct Slice<'a, T>(&'a [T]);

impl<T: Archive> Archive for Slice<'_, T> {
    type Archived = ArchivedVec<T::Archived>;
    type Resolver = VecResolver;

    #[inline]
    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_slice(self.0, resolver, out);
    }
}

impl<T: Serialize<Sink>> Serialize<Sink> for Slice<'_, T> {
    #[inline]
    fn serialize(&self, sink: &mut Sink) -> Result<VecResolver, WriteError> {
        ArchivedVec::serialize_from_slice(self.0, sink)
    }
}

macro_rules! slice {
    ([$($generics:tt)*], $ty:ty) => {
        impl<$($generics)*> Encode<Vec<T>> for $ty {
            #[inline]
            fn guess(&self) -> usize {
                inline_size::<Vec<T>>() + elements(self.len(), self.iter())
            }

            #[inline]
            fn encode(&self, room: &mut [MaybeUninit<u8>]) -> Result<usize, WriteError> {
                write_value(&Slice(&self[..]), room, None)
            }
        }
    };
}

slice!([T: Message], &[T]);
slice!([T: Message], Box<[T]>);
slice!([T: Message, const N: usize], [T; N]);
slice!([T: Message, const N: usize], &[T; N]);

impl<T: Message> Encode<Vec<T>> for &ArchivedVec<Archived<T>> {
    crate::__message_forward!(Vec<T>);
}

impl<T, H> Encode<HashSet<T, H>> for &ArchivedHashSet<Archived<T>>
where
    T: Message + Hash + Eq + Archive<Archived: Hash + Eq>,
    H: BuildHasher + Default + 'static,
{
    crate::__message_forward!(HashSet<T, H>);
}

impl<T> Encode<BTreeSet<T>> for &ArchivedBTreeSet<Archived<T>>
where
    T: Message + Ord + Archive<Archived: Ord>,
{
    crate::__message_forward!(BTreeSet<T>);
}

impl<K, V, H> Encode<HashMap<K, V, H>> for &ArchivedHashMap<Archived<K>, Archived<V>>
where
    K: Message + Hash + Eq + Archive<Archived: Hash + Eq>,
    V: Message,
    H: BuildHasher + Default + 'static,
{
    crate::__message_forward!(HashMap<K, V, H>);
}

impl<K, V> Encode<BTreeMap<K, V>> for &ArchivedBTreeMap<Archived<K>, Archived<V>>
where
    K: Message + Ord + Archive<Archived: Ord>,
    V: Message,
{
    crate::__message_forward!(BTreeMap<K, V>);
}
