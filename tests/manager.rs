//! The manager and its cells: several processes, many values, little memory.

use multiproc::{Bytes, Cell, Error, ErrorKind, Event, Manager, Process, StoreError};

fn kind(error: StoreError) -> ErrorKind {
    Error::from(error).kind()
}

#[test]
fn a_cell_has_what_was_stored_last() {
    let manager = Manager::new().unwrap();
    let cell = manager.cell("numbers", vec![1_u64, 2]).unwrap();
    let before = cell.get().unwrap();
    cell.set([3, 4, 5]).unwrap();
    assert_eq!(*before, [1, 2]);
    assert_eq!(*cell.get().unwrap(), [3, 4, 5]);
    assert_eq!(cell.get_owned().unwrap(), [3, 4, 5]);
    cell.set(&before).unwrap();
    assert_eq!(*cell.get().unwrap(), [1, 2]);
    assert!(
        !cell.replace_if(&before, [9]).unwrap(),
        "another use of the same value"
    );
    assert_eq!(cell.get().unwrap().to_owned().unwrap(), [1, 2]);
}

#[test]
fn a_guard_of_another_cell_replaces_nothing() {
    let (one, two) = (Manager::new().unwrap(), Manager::new().unwrap());
    let (one, two) = (one.cell("x", 1_u32).unwrap(), two.cell("x", 2_u32).unwrap());
    assert!(!one.replace_if(&two.get().unwrap(), 3).unwrap());
    assert!(one.replace_if(&one.get().unwrap(), 3).unwrap());
}

#[test]
fn names_lead_to_what_they_were_made_for() {
    let manager = Manager::new().unwrap();
    manager.cell("a", 1_u32).unwrap();
    manager.cell("b", "text".to_string()).unwrap();
    let again = manager.cell("a", 7_u32).unwrap();
    assert_eq!(*again.get().unwrap(), 1, "it was there already");
    assert_eq!(manager.names().unwrap(), ["a", "b"]);
    let wrong = manager.open_cell::<u64>("a").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);
    let absent = manager.open_cell::<u32>("c").unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    for bad in ["", "a\0b", &"n".repeat(65)] {
        let refused = manager.cell(bad, 0_u8).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn there_are_as_many_names_as_promised() {
    let manager = Manager::new().unwrap();
    let cells: Vec<_> = (0..4096_u32)
        .map(|n| manager.cell(&n.to_string(), n).unwrap())
        .collect();
    let full = manager.cell("one more", 0_u32).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoSpace);
    for (n, cell) in (0..).zip(&cells) {
        assert_eq!(*cell.get().unwrap(), n);
    }
}

#[test]
fn large_values_come_whole_and_their_memory_is_used_again() {
    let manager = Manager::builder().limit(1 << 30).anonymous().unwrap();
    let cell = manager.cell("bytes", Bytes::default()).unwrap();
    for turn in 0..5_u8 {
        let bytes = vec![turn; 64 << 20];
        cell.set(&bytes[..]).unwrap();
        assert!(*cell.get().unwrap() == bytes[..]);
    }
    assert!(manager.size() <= 300 << 20, "{}", manager.size());
}

#[test]
fn the_limit_is_an_error_and_what_was_there_stays() {
    let manager = Manager::builder().limit(2 << 20).anonymous().unwrap();
    let cell = manager.cell("bytes", Bytes::default()).unwrap();
    cell.set(&[1; 300_000][..]).unwrap();
    let full = cell.set(&[2; 2 << 20][..]).unwrap_err();
    assert_eq!(kind(full), ErrorKind::NoSpace);
    assert_eq!(cell.get().unwrap().len(), 300_000);
    let held = cell.get().unwrap();
    let mut refused = 0;
    for _ in 0..1000 {
        refused += u32::from(cell.set(&[3; 300_000][..]).is_err());
    }
    assert_eq!(refused, 0, "a value that fits beside the one that is read");
    assert!(held.iter().all(|&byte| byte == 1));
    let refused = Manager::builder().limit(u64::MAX).anonymous().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn it_travels_and_outlives_its_creator() {
    fn make() -> multiproc::Result<Manager> {
        let manager = Manager::new()?;
        manager.cell("made by", std::process::id())?;
        Ok(manager)
    }
    fn pass(manager: Manager, cell: Cell<u32>) -> multiproc::Result<()> {
        let same = manager.open_cell::<u32>("number")?;
        same.set(*cell.get()? + 1)?;
        Ok(())
    }
    let manager = Manager::new().unwrap();
    let cell = manager.cell("number", 1_u32).unwrap();
    let child = Process::spawn(pass, (manager.clone(), cell.clone())).unwrap();
    child.join().unwrap();
    assert_eq!(*cell.get().unwrap(), 2);
    // A child's result is attached after the child is gone: what it made alone is gone with it, and says so.
    let lost = Process::spawn(make, ()).unwrap().join();
    assert!(lost.is_err() || lost.unwrap().names().unwrap() == ["made by"]);
}

#[test]
fn a_name_is_found_and_taken_away() {
    let name = format!("manager-{}", std::process::id());
    let manager = Manager::create(&name).unwrap();
    assert_eq!(
        Manager::create(&name).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    manager.cell("x", 5_i64).unwrap();
    let opened = Manager::open(&name).unwrap();
    assert_eq!(*opened.open_cell::<i64>("x").unwrap().get().unwrap(), 5);
    drop((manager, opened));
    assert_eq!(
        Manager::open(&name).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let kept = Manager::builder()
        .name(&name)
        .persist(true)
        .create()
        .unwrap();
    kept.cell("x", 6_i64).unwrap();
    drop(kept);
    let found = Manager::open_or_create(&name).unwrap();
    assert_eq!(*found.open_cell::<i64>("x").unwrap().get().unwrap(), 6);
    Manager::remove(&name).unwrap();
}

#[test]
fn memory_is_taken_at_once_where_that_is_wanted() {
    let manager = Manager::builder()
        .limit(8 << 20)
        .prefault(true)
        .anonymous()
        .unwrap();
    let cell = manager.cell("x", Bytes::default()).unwrap();
    cell.set(&[1; 4 << 20][..]).unwrap();
    assert_eq!(manager.limit(), 8 << 20);
}

/// A value that is whole has the same number everywhere.
fn whole(values: &[u64]) -> u64 {
    assert!(values.iter().all(|&value| value == values[0]), "torn");
    values[0]
}

const TURNS: u64 = if cfg!(debug_assertions) {
    50_000
} else {
    1_000_000
};

fn replace_again_and_again(cell: Cell<Vec<u64>>, who: u64) -> multiproc::Result<()> {
    for turn in 0..TURNS {
        let value = turn * 2 + who;
        cell.set(vec![value; 1 + value as usize % 60])?;
    }
    Ok(())
}

/// Reads on and on; some guards are kept for a while, and show then what they showed at first.
fn read_again_and_again(cell: &Cell<Vec<u64>>) {
    let mut held = Vec::new();
    for turn in 0..TURNS {
        let seen = cell.get().unwrap();
        let values: Vec<u64> = seen.iter().map(|value| value.to_native()).collect();
        whole(&values);
        if turn % 64 == 0 {
            held.push((values, seen));
        }
        if held.len() > 40 {
            for (values, seen) in held.drain(..) {
                assert!(seen.iter().zip(&values).all(|(a, b)| a == b));
            }
        }
    }
}

#[test]
fn readers_see_whole_values_while_writers_replace_them_millions_of_times() {
    let manager = Manager::builder().limit(16 << 20).anonymous().unwrap();
    let cell = manager.cell("numbers", vec![0_u64; 40]).unwrap();
    let writers = [0, 1].map(|who| Process::spawn(replace_again_and_again, (cell.clone(), who)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| read_again_and_again(&cell));
        }
    });
    for writer in writers {
        writer.unwrap().join().unwrap();
    }
    assert!(manager.size() < 4 << 20, "{} bytes", manager.size());
}

type Sum = (u64, String);
const EACH: u64 = 5000;

fn add(cell: &Cell<Sum>) -> multiproc::Result<()> {
    for _ in 0..EACH {
        cell.update(|now| {
            let sum = now.0.to_native() + 1;
            (sum, "x".repeat(sum as usize % 50))
        })?;
    }
    Ok(())
}

#[test]
fn no_update_is_lost() {
    fn work(cell: Cell<Sum>) -> multiproc::Result<()> {
        add(&cell)
    }
    let manager = Manager::new().unwrap();
    let cell = manager.cell("sum", (0_u64, String::new())).unwrap();
    let children = [0, 1].map(|_| Process::spawn(work, (cell.clone(),)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| add(&cell).unwrap());
        }
    });
    for child in children {
        child.unwrap().join().unwrap();
    }
    assert_eq!(cell.get().unwrap().0, 4 * EACH);
}

/// A reader that is stopped keeps what it reads, and nothing else.
#[test]
fn a_stopped_reader_holds_back_one_value() {
    fn read(cell: Cell<Vec<u64>>, reads: Event) -> multiproc::Result<bool> {
        let seen = cell.get()?;
        reads.set();
        // SAFETY: stops this process only.
        unsafe { libc::raise(libc::SIGSTOP) };
        Ok(seen.iter().all(|&value| value == 7))
    }
    let manager = Manager::builder().limit(1 << 20).anonymous().unwrap();
    let cell = manager.cell("value", vec![7_u64; 1000]).unwrap();
    let reads = Event::new().unwrap();
    let reader = Process::spawn(read, (cell.clone(), reads.clone())).unwrap();
    reads.wait();
    for turn in 0..20_000_u64 {
        cell.set(vec![turn; 1000]).unwrap();
    }
    let pid = reader.pid() as i32;
    let mut status = 0;
    // SAFETY: `status` lives through the call, which reports the stop and does not reap.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
    // SAFETY: the child is not reaped yet, so its pid is still its own.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    assert!(reader.join().unwrap());
}
