//! Every kind of message: written, counted, checked, viewed, owned.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::time::Duration;

use super::*;

crate::message! {
    /// Named fields of every sort.
    #[derive(Debug, Clone, PartialEq)]
    struct Order {
        id: u64,
        lines: Vec<Line>,
        note: Option<String>,
        payload: Bytes,
    }

    #[derive(Debug, Clone, PartialEq)]
    #[rkyv(compare(PartialEq))]
    struct Line(String, u32);

    #[derive(Debug, Clone, PartialEq)]
    struct Unit;

    #[derive(Debug, Clone, PartialEq)]
    struct Empty {}

    /// Padding between the fields.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Flat {
        small: u8,
        large: u64,
        colour: Colour,
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Colour {
        Red = 1,
        Green = 5,
    }

    #[derive(Debug, Clone, PartialEq)]
    enum Event {
        /// Nothing to say.
        Silent,
        Moved { x: f64, y: f64 },
        Said(String),
        Both(u8, Vec<String>),
        Nothing {},
        Zero(),
    }
}

mod reordered {
    crate::message! {
        pub(super) struct Flat {
            large: u64,
            small: u8,
            colour: super::Colour,
        }
    }
}

/// Room that starts full of rubbish.
fn room(len: usize) -> Vec<u128> {
    vec![u128::MAX; len.div_ceil(16) + 1]
}

fn as_room(grains: &mut [u128], len: usize) -> &mut [MaybeUninit<u8>] {
    assert!(len <= grains.len() * 16);
    // SAFETY: the grains are that many bytes, and any byte may be written to them.
    unsafe { std::slice::from_raw_parts_mut(grains.as_mut_ptr().cast(), len) }
}

fn bytes_of(room: &[MaybeUninit<u8>]) -> &[u8] {
    // SAFETY: rooms start full of rubbish, so every byte is initialised.
    unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), room.len()) }
}

fn round<T: Message + PartialEq + Debug>(value: T) -> usize {
    let Err(WriteError::Overflow(needed)) = value.write(&mut []) else {
        assert_eq!(
            value.write(&mut []),
            Ok(0),
            "only empty messages fit nowhere"
        );
        return 0;
    };
    if let Some(fixed) = T::FIXED {
        assert_eq!(fixed, needed);
    }
    let mut grains = room(needed);
    assert_eq!(
        value.write(as_room(&mut grains, needed - 1)),
        Err(WriteError::Overflow(needed)),
        "one byte short says how much"
    );
    let room = as_room(&mut grains, needed);
    assert_eq!(value.write(room), Ok(needed));
    let mut moved = self::room(needed);
    copy_bytes(bytes_of(room), as_room(&mut moved, needed)).unwrap();
    let bytes = bytes_of(as_room(&mut moved, needed));
    // SAFETY: written by the same type, moved as a whole, and aligned.
    assert_eq!(T::to_owned(unsafe { T::view(bytes) }).unwrap(), value);
    assert_eq!(T::to_owned(T::check(bytes).unwrap()).unwrap(), value);
    assert_eq!(Packed::new(&value).unwrap().unpack::<T>().unwrap(), value);
    forwarded(&value, bytes);
    needed
}

fn forwarded<T: Message + PartialEq + Debug>(value: &T, bytes: &[u8]) {
    let mut again = room(bytes.len());
    let room = as_room(&mut again, bytes.len());
    assert_eq!(T::forward(T::check(bytes).unwrap(), room), Ok(bytes.len()));
    let bytes = bytes_of(room);
    assert_eq!(&T::to_owned(T::check(bytes).unwrap()).unwrap(), value);
}

fn order() -> Order {
    Order {
        id: 7,
        lines: vec![
            Line("a line that is longer than sixteen bytes".into(), 3),
            Line("short".into(), 4),
        ],
        note: Some("a note that is longer than sixteen bytes".into()),
        payload: Bytes::from(vec![1, 2, 3]),
    }
}

#[test]
fn numbers_and_their_like() {
    assert_eq!(round(5u8), 1);
    assert_eq!(round(-5i64), 8);
    assert_eq!(round(u128::MAX), 16);
    assert_eq!(round(1.5f32), 4);
    assert_eq!(round(true), 1);
    assert_eq!(round('ß'), 4);
    assert_eq!(round(()), 0);
    assert_eq!(round(NonZeroU32::MIN), 4);
    assert_eq!(round(Duration::from_millis(1500)), 16);
}

#[test]
fn a_large_usize_keeps_its_value() {
    assert_eq!(round(5_000_000_000usize), 8);
    round(vec![5_000_000_000usize, usize::MAX]);
}

#[test]
fn text_and_sequences() {
    round(String::new());
    round(String::from("short"));
    round("long ".repeat(10_000));
    round::<Box<str>>("boxed text that is longer".into());
    round(Vec::<u64>::new());
    round((0..1000u32).collect::<Vec<_>>());
    round(vec![vec![String::from("nested"); 3]; 4]);
    round(
        (0..100)
            .map(|i| i.to_string().repeat(30))
            .collect::<Vec<_>>(),
    );
    round(VecDeque::from([1u8, 2]));
    round(Box::<[u16]>::from([1, 2, 3]));
    round(Box::new(String::from("in a box")));
}

#[test]
fn maps_and_sets() {
    let pairs = || (0..100u64).map(|i| (format!("key number {i}"), i));
    round(pairs().collect::<HashMap<_, _>>());
    round(pairs().collect::<BTreeMap<_, _>>());
    round(pairs().map(|p| p.0).collect::<HashSet<_>>());
    round(pairs().map(|p| p.1).collect::<BTreeSet<_>>());
    round(HashMap::<u8, u8>::new());
}

#[test]
fn compounds() {
    round(Some(5u64));
    round(None::<u64>);
    round(Some(String::from("some text, a little longer")));
    round(Ok::<u8, String>(1));
    round(Err::<u8, String>("an error text that is longer".into()));
    round([1u16, 2, 3]);
    round([String::from("a"), "b".repeat(40)]);
    round((1u8,));
    round((1u8, 2u64, String::from("three"), vec![4.0f64]));
    round((
        1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8, 9u8, 10u8, 11u8, 12u64,
    ));
    round(Bytes::from(b"raw"));
    round(vec![Bytes::from(b"raw"), Bytes::default()]);
}

#[test]
fn types_of_the_users() {
    round(order());
    round(Unit);
    round(Empty {});
    round(Flat {
        small: 1,
        large: 2,
        colour: Colour::Green,
    });
    round(Colour::Red);
    for event in [
        Event::Silent,
        Event::Moved { x: 1.0, y: -1.0 },
        Event::Said("something that is longer than a few bytes".into()),
        Event::Both(1, vec!["x".repeat(50); 3]),
        Event::Nothing {},
        Event::Zero(),
    ] {
        round(event);
    }
}

#[test]
fn archived_types_read_in_place() {
    let packed = Packed::new(&order()).unwrap();
    let view = Order::check(packed.bytes()).unwrap();
    assert_eq!(view.id, 7);
    assert_eq!(view.lines[0].0, "a line that is longer than sixteen bytes");
    assert_eq!(view.lines[1], Line("short".into(), 4));
    assert_eq!(
        view.note.as_deref(),
        Some("a note that is longer than sixteen bytes")
    );
    assert!(format!("{view:?}").contains("short"));

    let packed = Packed::new(&Event::Moved { x: 1.0, y: 2.0 }).unwrap();
    match Event::check(packed.bytes()).unwrap() {
        ArchivedEvent::Moved { x, y } => assert_eq!(x.to_native() + y.to_native(), 3.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fixed_is_known_from_the_fields() {
    assert_eq!(Flat::FIXED, Some(24));
    assert_eq!(Colour::FIXED, Some(1));
    assert_eq!(Unit::FIXED, Some(0));
    assert_eq!(<(u32, [Option<u16>; 4])>::FIXED, Some(20));
    assert_eq!(Order::FIXED, None);
    assert_eq!(Event::FIXED, None);
    assert_eq!(<Option<String>>::FIXED, None);
}

#[test]
fn padding_carries_no_old_bytes() {
    let flat = Flat {
        small: 1,
        large: 2,
        colour: Colour::Red,
    };
    let mut grains = room(24);
    flat.write(as_room(&mut grains, 24)).unwrap();
    let bytes = grains[0].to_le_bytes();
    assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn fingerprints_follow_names_order_and_types() {
    assert_ne!(Flat::FINGERPRINT, reordered::Flat::FINGERPRINT);
    assert_ne!(Order::FINGERPRINT, Event::FINGERPRINT);
    assert_ne!(segment_fingerprint::<u64>(), segment_fingerprint::<i64>());
    assert_eq!(
        segment_fingerprint::<Vec<Order>>(),
        segment_fingerprint::<Vec<Order>>()
    );
}

#[test]
fn type_names_read_like_types() {
    assert_eq!(
        <HashMap<String, Vec<(u8,)>>>::type_name(),
        "HashMap<String, Vec<(u8,)>>"
    );
    assert_eq!(
        <Result<[Order; 2], ()>>::type_name(),
        "Result<[Order; 2], ()>"
    );
}

#[test]
fn guesses_are_near() {
    fn off<T: Message + PartialEq + Debug>(value: T) -> f64 {
        let guess = inline_size::<T>() + value.extra();
        guess as f64 / round(value) as f64
    }
    let near = 0.7..1.5;
    assert!(near.contains(&off("x".repeat(100_000))));
    assert!(near.contains(&off(vec![0u64; 100_000])));
    assert!(near.contains(&off(vec!["y".repeat(100); 1000])));
    assert!(near.contains(&off(Event::Both(1, vec!["x".repeat(500); 30]))));
    assert!(near.contains(&off(Line("z".repeat(1000), 1))));
    assert!(near.contains(&off(Order {
        payload: vec![1; 5000].into(),
        ..order()
    })));
}

#[test]
fn rubbish_is_refused() {
    let mut bytes = Packed::new(&order()).unwrap().bytes().to_vec();
    let len = bytes.len();
    for cut in [0, 1, len / 2, len - 1] {
        assert!(
            Packed::copy_of(&bytes[..cut]).unpack::<Order>().is_err(),
            "cut at {cut}"
        );
    }
    for at in (len - 64)..len {
        bytes[at] ^= 0xff;
        // Some bits are values and may be anything; what counts is that nothing is read outside.
        let _ = Packed::copy_of(&bytes).unpack::<Order>();
        bytes[at] ^= 0xff;
    }
    assert!(bool::check(&[2]).is_err());
    assert!(Colour::check(&[4]).is_err());
    let invalid = Packed::copy_of(&[0xff; 64])
        .unpack::<Vec<u64>>()
        .unwrap_err();
    assert_eq!(invalid.kind(), crate::ErrorKind::InvalidMessage);
}

#[test]
fn borrowed_forms_write_what_owned_ones_do() {
    fn bytes<T: Message, V: Encode<T>>(value: V) -> Vec<u8> {
        let mut grains = room(4096);
        let room = as_room(&mut grains, 4096);
        let len = value.encode(room).unwrap();
        assert!(value.guess() <= len + 16);
        bytes_of(&room[..len]).to_vec()
    }
    let text = "text of some length, beyond sixteen";
    let owned = bytes::<String, _>(String::from(text));
    assert_eq!(bytes::<String, _>(text), owned);
    assert_eq!(bytes::<String, _>(&text), owned);
    assert_eq!(bytes::<String, _>(&String::from(text)), owned);
    assert_eq!(bytes::<String, _>(std::borrow::Cow::Borrowed(text)), owned);

    let owned = bytes::<Vec<u64>, _>(vec![1, 2, 3]);
    assert_eq!(bytes::<Vec<u64>, _>([1, 2, 3]), owned);
    assert_eq!(bytes::<Vec<u64>, _>(&[1, 2, 3][..]), owned);
    assert_eq!(bytes::<Bytes, _>(b"raw"), b"raw");
    assert_eq!(bytes::<Bytes, _>("raw"), b"raw");

    let packed = Packed::new(&order()).unwrap();
    let view = Order::check(packed.bytes()).unwrap();
    assert_eq!(bytes::<Order, _>(view), packed.bytes());
    assert_eq!(bytes::<u64, _>(&view.id), 7u64.to_le_bytes());
    bytes::<Vec<Line>, _>(&view.lines);
    bytes::<Option<String>, _>(&view.note);
}

#[test]
fn a_warm_writer_reuses_its_scratch() {
    let value: Vec<Vec<String>> = vec![vec!["s".repeat(20); 50]; 50];
    let first = Packed::new(&value).unwrap();
    let second = Packed::new(&value).unwrap();
    assert_eq!(first.bytes(), second.bytes());
}
