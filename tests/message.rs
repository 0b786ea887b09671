//! Message types of the user's: what `message!` accepts.

use multiproc::{Message, Process, Queue};

multiproc::message! {
    /// Two of a kind.
    #[derive(Debug, Clone, PartialEq)]
    struct Pair<T> {
        left: T,
        right: Vec<T>,
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Tagged<K, V,>(K, Option<V>);

    #[derive(Debug, Clone, PartialEq)]
    enum Either<L, R> {
        Left(L),
        Right { value: R, why: String },
        Neither,
    }

    /// No `Debug`, no `Clone`: nothing is asked of a message but that it is one.
    struct Bare(u8);
}

#[test]
fn a_generic_struct_is_read_in_place() {
    let queue = Queue::<Pair<String>>::new(4).unwrap();
    let pair = Pair {
        left: "one".to_string(),
        right: vec!["two".to_string(), "three".to_string()],
    };
    queue.put(&pair).unwrap();
    let read = queue.get().unwrap();
    assert_eq!((read.left.as_str(), read.right.len()), ("one", 2));
    assert_eq!(format!("{:?}", read.right[1]), "\"three\"");
    drop(read);
    queue.put(&pair).unwrap();
    assert_eq!(queue.get_owned().unwrap(), pair);
}

#[test]
fn a_generic_enum_and_a_tuple_travel_to_a_process() {
    fn sum(from: Queue<Either<Tagged<u8, u32>, f64>>) -> f64 {
        from.iter()
            .map(|message| match &*message {
                ArchivedEither::Left(tagged) => f64::from(tagged.1.as_ref().unwrap().to_native()),
                ArchivedEither::Right { value, why } => value.to_native() * why.len() as f64,
                ArchivedEither::Neither => 0.25,
            })
            .sum()
    }
    let queue = Queue::new(4).unwrap();
    let child = Process::spawn(sum, (queue.clone(),)).unwrap();
    queue.put(Either::Left(Tagged(1, Some(4)))).unwrap();
    queue
        .put(Either::Right {
            value: 1.5,
            why: "so".into(),
        })
        .unwrap();
    queue.put(Either::Neither).unwrap();
    queue.close();
    assert_eq!(child.join().unwrap(), 7.25);
}

#[test]
fn a_generic_message_is_forwarded_as_it_lies() {
    let (from, to) = (Queue::new(2).unwrap(), Queue::new(2).unwrap());
    from.put(Tagged(7_u16, Some("text".to_string()))).unwrap();
    to.put(&*from.get().unwrap()).unwrap();
    let expected = Tagged(7_u16, Some("text".to_string()));
    assert_eq!(to.get_owned().unwrap(), expected);
}

#[test]
fn parameters_are_part_of_the_type() {
    assert_eq!(<Pair<u64>>::type_name(), "Pair<u64>");
    let nested = <Either<Tagged<u8, bool>, String>>::type_name();
    assert_eq!(nested, "Either<Tagged<u8, bool>, String>");
    assert_ne!(<Pair<u64>>::FINGERPRINT, <Pair<i64>>::FINGERPRINT);
    assert_eq!((<Pair<u64>>::FIXED, Bare::FIXED), (None, Some(1)));
    assert_eq!(<Tagged<u8, u32>>::FIXED, Some(12));
}
