//! Making and leaving objects ten thousand times, alone and beside a sweeper that never rests.

use std::ops::AddAssign;
use std::time::Duration;

use multiproc::{Bytes, Event, Lock, Queue, Shared, Value};

use crate::common::board::{Board, Gate};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;
use crate::common::numbers::size;

const LONG: Duration = Duration::from_secs(600);

/// What a process holds of the system.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    mappings: usize,
    threads: usize,
    files: usize,
}

impl Holdings {
    fn now(folder: &Folder) -> Holdings {
        let entries = |path: &str| std::fs::read_dir(path).expect("a /proc").count();
        let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
        Holdings {
            descriptors: entries("/proc/self/fd"),
            // The heap may grow and split as it likes.
            mappings: maps
                .lines()
                .filter(|l| l.contains("multiproc") || l.contains("memfd"))
                .count(),
            threads: entries("/proc/self/task"),
            files: folder.entries().len(),
        }
    }
}

/// Pages of memory in use.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the size");
    statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("resident pages")
}

multiproc::shared! {
    struct Several from SeveralInit { first: Lock<u64>, second: Lock<[u64; 9]>, number: Value<u64>, event: Event }
}

/// A struct, made and opened, and one of its fields kept for longer.
fn structs(n: u64) {
    let init = || SeveralInit {
        first: n,
        second: [n; 9],
        number: n,
        event: true,
    };
    let anonymous = Shared::<Several>::new(init()).expect("new");
    let named = Shared::<Several>::create("struct", init()).expect("create");
    let same = Shared::<Several>::open("struct").expect("open");
    same.first.lock().expect("free").add_assign(1);
    let field = named.first.clone();
    drop((same, named));
    assert_eq!(*field.lock().expect("free"), n + 1);
    assert_eq!(anonymous.number.load(), n);
}

/// Every kind of object: made, opened, used, left.
fn cycle(n: u64) {
    let (named, anonymous) = (
        format!("queue-{}", n % 3),
        Queue::<u64>::new(4).expect("new"),
    );
    let queue = Queue::<Bytes>::builder()
        .name(&named)
        .capacity(4)
        .create()
        .expect("create");
    let same = Queue::<Bytes>::open(&named).expect("open");
    same.put(&n.to_le_bytes()[..]).expect("room");
    assert_eq!(&*queue.get().expect("what was put"), n.to_le_bytes());
    anonymous.put(n).expect("room");
    assert_eq!(anonymous.get_owned(), Ok(n));
    let (lock, value) = (Lock::new(n).expect("new"), Value::new(n).expect("new"));
    assert_eq!(*lock.lock().expect("free"), value.fetch_add(1));
    drop(Lock::create("lock", [n; 4]).expect("create"));
    structs(n);
}

pub fn nothing_leaks() {
    let cycles = size("MULTIPROC_CYCLES", 10_000);
    let folder = Folder::enter();
    let mut child = Child::fork(|| {
        (0..20).for_each(cycle);
        let (before, pages) = (Holdings::now(&folder), resident());
        (0..cycles).for_each(cycle);
        assert_eq!(Holdings::now(&folder), before, "after {cycles} cycles");
        let grown = resident().saturating_sub(pages) * 4;
        println!("  {cycles} cycles: {before:?} before and after, {grown} KiB more resident");
        assert!(grown < 8 * 1024, "{grown} KiB more resident");
        0
    });
    assert_eq!(child.wait(LONG), End::Exited(0));
    assert!(
        folder.entries().is_empty(),
        "left behind: {:?}",
        folder.entries()
    );
}

/// Makers find what they made, whatever a sweeper does meanwhile.
pub fn gc_never_removes_the_living() {
    let rounds = size("MULTIPROC_CYCLES", 10_000);
    let folder = Folder::enter();
    let stop = Board::<Gate>::new();
    let mut sweeper = Child::fork(|| {
        let mut sweeps = 0_u64;
        while !stop.is_open() {
            multiproc::gc().expect("gc");
            sweeps += 1;
        }
        println!("  {sweeps} sweeps beside {rounds} objects");
        0
    });
    let make = |of: u64| {
        for n in 0..rounds / 2 {
            let name = format!("value-{of}-{}", n % 5);
            let value = Value::create(&name, n).expect("create");
            assert_eq!(
                Value::<u64>::open(&name).expect("a living object").load(),
                n
            );
            if n % 2 == 0 {
                Value::<u64>::remove(&name).expect("remove");
            }
            assert_eq!(value.load(), n);
        }
        0
    };
    let mut makers = [0, 1].map(|of| Child::fork(|| make(of)));
    makers
        .iter_mut()
        .for_each(|maker| assert_eq!(maker.wait(LONG), End::Exited(0)));
    stop.open();
    assert_eq!(sweeper.wait(LONG), End::Exited(0));
    assert!(
        folder.entries().is_empty(),
        "left behind: {:?}",
        folder.entries()
    );
}
