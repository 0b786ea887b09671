//! `Value`: one number, changed by many at once.

use std::fmt::Debug;
use std::thread;

use multiproc::{Bits, ErrorKind, Number, Process, Queue, Scalar, Value};

fn basics<T: Scalar>(first: T, second: T) {
    let value = Value::new(first).unwrap();
    assert_eq!(value.load(), first);
    value.store(second);
    assert_eq!(value.swap(first), second);
    assert_eq!(value.compare_exchange(first, second), Ok(first));
    assert_eq!(value.compare_exchange(first, first), Err(second));
    assert_eq!(value.update(|_| first), second);
    assert_eq!(value.try_update(|_| None), Err(first));
    assert_eq!(
        format!("{value} {value:?}"),
        format!("{first} Value({first:?})")
    );
}

#[test]
fn every_scalar_is_loaded_stored_and_exchanged() {
    basics(true, false);
    basics(1_u8, u8::MAX);
    basics(i8::MIN, i8::MAX);
    basics(1_u16, u16::MAX);
    basics(i16::MIN, i16::MAX);
    basics(1_u32, u32::MAX);
    basics(i32::MIN, i32::MAX);
    basics(1_u64, u64::MAX);
    basics(i64::MIN, i64::MAX);
    basics(1_usize, usize::MAX);
    basics(isize::MIN, isize::MAX);
    basics(0.5_f32, f32::MIN);
    basics(-0.5_f64, f64::INFINITY);
}

fn sums<T: Number>(start: T, step: T, sum: T) {
    let value = Value::new(start).unwrap();
    assert_eq!(value.fetch_add(step), start);
    assert_eq!(value.fetch_sub(step), sum);
    assert_eq!(value.load(), start);
}

#[test]
fn sums_wrap_around_like_the_type_does() {
    sums(u8::MAX, 2, 1);
    sums(i8::MAX, 1, i8::MIN);
    sums(i16::MIN, -1, i16::MAX);
    sums(7_u16, 8, 15);
    sums(i32::MAX, 1, i32::MIN);
    sums(u32::MAX, 1, 0);
    sums(-1_i64, 3, 2);
    sums(u64::MAX, 1, 0);
    sums(usize::MAX, 1, 0);
    sums(-5_isize, 5, 0);
    sums(0.25_f32, 0.5, 0.75);
    sums(1.0_f64, -3.0, -2.0);
}

fn extremes<T: Number>(low: T, middle: T, high: T) {
    let value = Value::new(middle).unwrap();
    assert_eq!(value.fetch_max(low), middle);
    assert_eq!(value.fetch_max(high), middle);
    assert_eq!(value.fetch_min(middle), high);
    assert_eq!(value.fetch_min(low), middle);
    assert_eq!(value.load(), low);
}

#[test]
fn the_larger_and_the_smaller_are_those_of_the_type() {
    extremes(1_u8, 100, 200);
    extremes(-100_i8, -1, 100);
    extremes(i64::MIN, 0, i64::MAX);
    extremes(0_u64, 1 << 63, u64::MAX);
    extremes(-2.5_f32, -0.5, 7.0);
    extremes(f64::NEG_INFINITY, 0.0, f64::INFINITY);
    let value = Value::new(1.0).unwrap();
    value.fetch_max(f64::NAN);
    assert_eq!(value.load(), 1.0);
}

fn logic<T: Bits + Debug>(a: T, b: T, [and, or, xor]: [T; 3]) {
    let value = Value::new(a).unwrap();
    assert_eq!(value.fetch_and(b), a);
    assert_eq!(value.swap(a), and);
    assert_eq!(value.fetch_or(b), a);
    assert_eq!(value.swap(a), or);
    assert_eq!(value.fetch_xor(b), a);
    assert_eq!(value.load(), xor);
}

#[test]
fn bits_are_masked_set_and_flipped() {
    logic(0b1100_u8, 0b1010, [0b1000, 0b1110, 0b0110]);
    logic(-1_i32, 0xff, [0xff, -1, !0xff]);
    logic(true, false, [false, true, true]);
    logic(true, true, [true, true, false]);
}

fn count(total: Value<u64>, sum: Value<f64>, times: u32) {
    for _ in 0..times {
        total.fetch_add(1);
        sum.fetch_add(0.5);
    }
}

#[test]
fn nothing_is_lost_between_processes_and_threads() {
    let (total, sum) = (Value::new(0).unwrap(), Value::new(0.0).unwrap());
    let counting = || Process::spawn(count, (total.clone(), sum.clone(), 20_000)).unwrap();
    let children = [counting(), counting(), counting()];
    thread::scope(|scope| {
        scope.spawn(|| count(total.clone(), sum.clone(), 20_000));
        scope.spawn(|| count(total.clone(), sum.clone(), 20_000));
    });
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!((total.load(), sum.load()), (100_000, 50_000.0));
}

fn count_for_ever(total: Value<u64>, done: Value<u64>) {
    loop {
        total.fetch_add(1);
        done.fetch_add(1);
    }
}

#[test]
fn a_counter_survives_those_who_count() {
    let [total, done] = [0, 0].map(|zero| Value::new(zero).unwrap());
    for _ in 0..5 {
        let before = total.load();
        let child = Process::spawn(count_for_ever, (total.clone(), done.clone())).unwrap();
        while total.load() < before + 1000 {
            thread::yield_now();
        }
        child.kill().unwrap();
        assert!(child.join().is_err());
        let behind = total.load() - done.load();
        assert!(behind <= 1, "{behind}");
        done.store(total.load());
    }
}

#[test]
fn a_name_leads_to_the_same_value_of_the_same_type() {
    let name = format!("named-value-{}", std::process::id());
    assert_eq!(
        Value::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let value = Value::create(&name, 5_u32).unwrap();
    assert_eq!(
        Value::create(&name, 6_u32).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        Value::<f32>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    Value::open_or_create(&name, 7_u32).unwrap().fetch_add(1);
    assert_eq!(value.load(), 6);
    Value::<u32>::remove(&name).unwrap();
    assert_eq!(
        Value::<u32>::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let next = Value::open_or_create(&name, 7_u32).unwrap();
    assert_eq!((value.load(), next.load()), (6, 7));
}

#[test]
fn a_value_travels_in_a_message() {
    let queue = Queue::<Vec<Value<i64>>>::new(4).unwrap();
    let values = [1, 2].map(|n| Value::new(n).unwrap());
    queue.put(values.to_vec()).unwrap();
    for same in queue.get_owned().unwrap() {
        same.fetch_sub(10);
    }
    assert_eq!(values.map(|value| value.load()), [-9, -8]);
}

#[test]
fn a_handle_without_an_object_is_gone() {
    let queue = Queue::<Value<i64>>::new(4).unwrap();
    let value = Value::create(&format!("gone-{}", std::process::id()), 1_i64).unwrap();
    queue.put(&value).unwrap();
    drop(value);
    let error = queue.get_owned().unwrap_err();
    assert_eq!(multiproc::Error::from(error).kind(), ErrorKind::Gone);
}
