//! Named objects: made, mapped and removed, against the bare system calls; and what everything weighs.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

mod harness;

use harness::ours::{fresh_name, join};
use harness::{Bench, Crew, Goal, Percentiles, Report, Unit, contender};
use multiproc::{Lock, Queue};

/// Messages of 8 bytes whose slots fill 64 KiB.
const MESSAGES: usize = 4096;
const BYTES: usize = 16 * MESSAGES;
const PAGE: usize = 4096;

fn main() {
    let mut bench = Bench::start("segment");
    bench.section("named, 64 KiB");
    let create = || median(|| create_and_remove(&fresh_name()));
    let contenders = vec![
        contender("queue", create),
        contender("raw calls", || median(raw)),
    ];
    bench.row(
        "create, map, touch, remove",
        Unit::Nanos,
        Goal::must(1.5).aim(1.2),
        contenders,
    );
    weigh(&bench);
}

fn create_and_remove(name: &str) {
    let knobs = Queue::<u64>::builder().name(name).capacity(MESSAGES);
    let queue = knobs.prefault(true).create().expect("a queue");
    Queue::<u64>::remove(name).expect("its name");
    drop(queue);
}

/// What the cheapest program without crash safety does.
fn raw() {
    let path = CString::new(format!("/dev/shm/{}", fresh_name())).expect("no NUL");
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the path is NUL-terminated, the mapping is fresh, and its pages are touched within its length before it
    // is unmapped.
    unsafe {
        let file = libc::open(path.as_ptr(), flags, 0o600);
        assert!(file >= 0, "open");
        assert_eq!(libc::ftruncate(file, BYTES as i64), 0, "ftruncate");
        let map = libc::mmap(
            std::ptr::null_mut(),
            BYTES,
            access,
            libc::MAP_SHARED,
            file,
            0,
        );
        assert_ne!(map, libc::MAP_FAILED, "mmap");
        (0..BYTES)
            .step_by(PAGE)
            .for_each(|at| map.cast::<u8>().add(at).write_volatile(1));
        libc::unlink(path.as_ptr());
        libc::munmap(map, BYTES);
        libc::close(file);
    }
}

fn median(action: impl Fn()) -> f64 {
    let run = |_| {
        let begin = Instant::now();
        action();
        begin.elapsed().as_nanos() as f64
    };
    let mut observed: Vec<f64> = (0..100).map(run).collect();
    Percentiles::of(&mut observed).p50
}

/// Memory taken from the system, measured on the objects themselves.
fn weigh(bench: &Bench) {
    if !bench.options.wants("memory", "") {
        return;
    }
    println!("\nmemory, as the system accounts for it");
    let name = fresh_name();
    let queue = Queue::<u64>::builder()
        .name(&name)
        .capacity(MESSAGES)
        .create()
        .expect("a queue");
    let beside = named_bytes(&name) - BYTES as u64;
    println!("  a queue beside its slots           {beside:>8} B   (must <= 65536)");
    drop(queue);
    println!(
        "  a member of a queue                {:>8.0} B   (must <= 256)",
        member()
    );
    println!(
        "  a lock of 8 bytes of data          {:>8.0} B   (must <= 128)",
        lock()
    );
}

fn named_bytes(name: &str) -> u64 {
    let objects = multiproc::objects().expect("the directory");
    let found = objects.into_iter().find(|object| object.name == name);
    found.expect("the object").bytes
}

/// What 64 more members cost, each.
fn member() -> f64 {
    const MEMBERS: usize = 64;
    let name = &fresh_name();
    let mut crew = Crew::new();
    for worker in 0..=MEMBERS {
        crew.hire(move |meeting| {
            let queue = join(
                Queue::<u64>::builder().name(name).capacity(MESSAGES),
                worker,
                meeting,
            );
            meeting.meet();
            let values = [named_bytes(name) as f64, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            meeting.meet();
            drop(queue);
            Report {
                values,
                ..Report::default()
            }
        });
    }
    let crowded = crew.run()[0].values[0];
    let mut crew = Crew::new();
    crew.hire(|meeting| {
        let queue = join(
            Queue::<u64>::builder().name(name).capacity(MESSAGES),
            0,
            meeting,
        );
        let values = [named_bytes(name) as f64, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        drop(queue);
        Report {
            values,
            ..Report::default()
        }
    });
    (crowded - crew.run()[0].values[0]) / MEMBERS as f64
}

/// What 10,000 more locks cost, each.
fn lock() -> f64 {
    const LOCKS: usize = 10_000;
    let first = Lock::new(0_u64).expect("a lock");
    let before = anonymous_bytes();
    let locks: Vec<Lock<u64>> = (0..LOCKS).map(|_| Lock::new(0).expect("a lock")).collect();
    let after = anonymous_bytes();
    drop((first, locks));
    (after - before) as f64 / LOCKS as f64
}

/// The memory behind all anonymous objects of this process.
fn anonymous_bytes() -> u64 {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let ours = entries.filter(|entry| {
        fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().contains("memfd:multiproc"))
    });
    ours.filter_map(|entry| fs::metadata(entry.path()).ok())
        .map(|found| found.blocks() * 512)
        .sum()
}
