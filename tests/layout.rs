//! A reader that knows nothing of the library but docs/layout.md: that page is true.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use multiproc::{
    BoundedSemaphore, Bytes, Event, Latch, Lock, Message, Pipe, Queue, RwLock, Semaphore, Shared,
    TryRecvError, Value,
};

#[path = "layout/manager.rs"]
mod manager;

/// The file of a named object, read by position.
struct Object {
    file: File,
    name: String,
}

impl Object {
    fn open(name: &str) -> Self {
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let standard = || PathBuf::from(format!("/dev/shm/multiproc-{uid}"));
        let folder = std::env::var_os("MULTIPROC_DIR").map_or_else(standard, PathBuf::from);
        Object {
            file: File::open(folder.join(name)).unwrap(),
            name: name.to_owned(),
        }
    }

    fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    fn u16(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    /// "The header page".
    fn check_header(&self, kind: u16, type_name: &str, fingerprint: u64, params: [u64; 8]) {
        assert_eq!(&self.bytes(0), b"MULTIPRC", "{}", self.name);
        assert_eq!((self.u16(8), self.u16(10)), (1, 0), "the format");
        assert_eq!(self.u16(12), kind);
        assert_eq!(self.u64(16), number_on_the_page("| layout_hash | `"));
        assert_ne!(self.u64(24), 0, "the id");
        assert_eq!(self.u64(32), fingerprint, "the fingerprint of {type_name}");
        assert_eq!(self.u32(40), 0, "the mode");
        assert_eq!(self.u64(48), 4096);
        assert_eq!(self.u64(64), 4096 + self.u64(56));
        assert_eq!(self.u64(72), 524_288);
        assert_eq!(self.u64(80), self.u64(64) + 557_056);
        assert_eq!(self.u32(96), std::process::id());
        assert_eq!(
            (0..8).map(|i| self.u64(136 + 8 * i)).collect::<Vec<_>>(),
            params
        );
        assert!(
            self.bytes::<64>(200)
                .starts_with(format!("{type_name}\0").as_bytes())
        );
        assert_eq!(self.u64(384), self.u64(64) + 4096, "what has memory");
        assert_eq!(self.u32(392), 1, "live");
    }

    /// "The roster", with its first and only member.
    fn check_roster(&self) {
        let words = |n: u64| self.u64(2048 + 8 * n);
        assert_eq!((words(1), words(16)), (32, 1 << 1));
        let slot = self.u64(64) + 128;
        assert_eq!(
            (self.u32(slot), self.u32(slot + 4)),
            (2, 1),
            "live, first owner"
        );
        assert_eq!(self.u32(slot + 8), std::process::id());
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let name = name.trim_end().as_bytes();
        assert_eq!(&self.bytes::<16>(slot + 24)[..name.len()], name);
    }

    /// The word of slot `i` as (lap, deliveries, owner, state).
    fn slot(&self, stride: u64, i: u64) -> (u64, u64, u64, u64) {
        parts(self.u64(slot_at(stride, i)))
    }
}

fn parts(word: u64) -> (u64, u64, u64, u64) {
    (word >> 22, word >> 15 & 127, word >> 3 & 4095, word & 7)
}

fn slot_at(stride: u64, i: u64) -> u64 {
    4096 + 640 + stride * i
}

/// The hexadecimal number that follows `mark` on the page.
fn number_on_the_page(mark: &str) -> u64 {
    let page = include_str!("../docs/layout.md");
    let after = page.split(mark).nth(1).expect("the page names the number");
    u64::from_str_radix(&after[..16], 16).unwrap()
}

const FREE: u64 = 0;
const FULL: u64 = 2;
const TAKEN: u64 = 3;
const RETURNED: u64 = 4;

fn named<T: Message>(what: &str, capacity: usize) -> (Queue<T>, Object) {
    let name = format!("layout-{what}-{}", std::process::id());
    let builder = Queue::builder().name(&name).capacity(capacity);
    let queue = builder.message_size(64).create().unwrap();
    (queue, Object::open(&name))
}

#[test]
fn fixed_messages_lie_where_the_page_says() {
    let (queue, object) = named::<u64>("fixed", 3);
    let fingerprint = number_on_the_page("| 8, 8 | `");
    object.check_header(1, "u64", fingerprint, [3, 1, 8, 8, 16, 0, 0, 0]);
    object.check_roster();
    for number in [11, 22, 33] {
        queue.put(number).unwrap();
    }
    assert_eq!(
        (object.u64(4096), object.u64(4096 + 128)),
        (1 << 22, 0),
        "tail and head"
    );
    assert_eq!(object.slot(16, 1), (0, 0, 0, FULL));
    assert_eq!(object.u64(slot_at(16, 1) + 8), 22);
    queue.get().unwrap().give_back();
    assert_eq!(object.slot(16, 0), (0, 1, 0, RETURNED));
    assert_eq!(object.u32(4096 + 272), 1, "something was given back");
    let again = queue.get().unwrap();
    assert_eq!(
        (again.to_native(), object.slot(16, 0)),
        (11, (0, 2, 1, TAKEN))
    );
    drop(again);
    assert_eq!(object.slot(16, 0), (1, 0, 0, FREE));
    queue.close();
    assert_ne!(object.u32(4096 + 268), 0);
}

#[test]
fn messages_of_any_length_lie_where_the_page_says() {
    let (queue, object) = named::<Bytes>("any", 5);
    let fingerprint = number_on_the_page("| 16, 1 | `");
    object.check_header(1, "Bytes", fingerprint, [5, 2, 64, 16, 16, 0, 0, 0]);
    queue.put(b"short").unwrap();
    queue.put(vec![7; 10_000]).unwrap();
    assert_eq!(object.slot(128, 0), (0, 0, 0, FULL));
    assert_eq!(object.u64(slot_at(128, 0) + 8), 5);
    assert_eq!(&object.bytes(slot_at(128, 0) + 16), b"short");

    let lease = queue.lease().unwrap();
    assert_eq!(
        object.slot(128, 0),
        (1, 0, 0, FREE),
        "the slot is left to others"
    );
    let record = object.u64(80);
    assert_eq!(parts(object.u64(record)), (0, 1, 1, TAKEN));
    assert_eq!((object.u64(record + 8), object.u64(record + 16)), (0, 5));
    assert_eq!(&object.bytes(record + 32), b"short");
    lease.ack();
    assert_eq!(parts(object.u64(record)), (1, 0, 0, FREE));

    assert_eq!(object.u64(slot_at(128, 1) + 8), 1 << 63 | 10_000);
    assert_eq!(
        object.u64(slot_at(128, 1) + 16),
        3 << 32,
        "block 0 of class 2"
    );
    assert_eq!(object.u32(512 + 4 * 2), 256, "descriptors of class 2");
    let store = (object.u64(80) + object.u64(88)).next_multiple_of(2 << 20);
    let descriptor = store + 0x20_0000;
    assert_eq!(
        object.u64(descriptor) & 0xffff,
        1 | 1 << 4,
        "owned by who put it"
    );
    assert_eq!(object.u32(descriptor + 8), 3, "pages that have memory");
    assert_eq!(object.bytes::<10_000>(store + 0x30a0_0000), [7; 10_000]);
}

/// 64-bit FNV-1a, as the page has it.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[test]
fn locks_and_values_lie_where_the_page_says() {
    let name = format!("layout-lock-{}", std::process::id());
    let lock = Lock::create(&name, [1_u32, 2]).unwrap();
    let object = Object::open(&name);
    object.check_header(6, "[u32; 2]", fnv("[u32; 2]/8/4"), [0; 8]);
    object.check_roster();
    assert_eq!(object.u64(4096), 0, "free");
    assert_eq!(
        (object.u32(4096 + 12), object.u64(4096 + 16)),
        (6, fnv("[u32; 2]/8/4"))
    );
    lock.lock().unwrap()[1] = 7;
    assert_eq!((object.u32(4096 + 40), object.u32(4096 + 44)), (1, 7));
    let guard = lock.lock().unwrap();
    let word = object.u64(4096);
    assert_eq!(
        (word >> 52, word >> 32 & 0xf_ffff),
        (1, u64::from(std::process::id()) & 0xf_ffff)
    );
    assert_ne!(word as u32 & 0x1fff_ffff, 0, "the thread");
    assert_eq!(word as u32 >> 30, 0, "neither marked nor waited for");
    drop(guard);
    let panicked = std::thread::scope(|scope| {
        let hold = || {
            let _guard = lock.lock().unwrap();
            panic!("with the guard in hand");
        };
        scope.spawn(hold).join().is_err()
    });
    assert!(panicked);
    assert_eq!(object.u64(4096) as u32, 1 << 30, "marked, held by nobody");

    let name = format!("layout-value-{}", std::process::id());
    let value = Value::create(&name, -2.5_f64).unwrap();
    let object = Object::open(&name);
    object.check_header(7, "f64", fnv("f64"), [0; 8]);
    assert_eq!(f64::from_bits(object.u64(4096)), value.load());
    assert_eq!(
        (object.u32(4096 + 12), object.u64(4096 + 16)),
        (7, fnv("f64"))
    );
}

#[test]
fn locks_for_readers_lie_where_the_page_says() {
    let name = format!("layout-rwlock-{}", std::process::id());
    let lock = RwLock::create_for_readers(&name, [1_u32, 2], 3).unwrap();
    let object = Object::open(&name);
    object.check_header(14, "[u32; 2]", fnv("[u32; 2]/8/4"), [0; 8]);
    let (gate, row) = (4096 + 128, |n: u64| 4096 + 128 + 128 + 128 * n);
    assert_eq!(object.u64(gate), 0, "open");
    assert_eq!((object.u32(gate + 8), object.u32(gate + 12)), (3, 128));
    assert_eq!((object.u32(gate + 16), object.u32(gate + 20)), (1, 2));
    let (outer, inner) = (lock.read().unwrap(), lock.read().unwrap());
    let words: Vec<_> = (0..3)
        .map(|n| object.u64(row(n)))
        .filter(|&w| w != 0)
        .collect();
    assert_eq!(words.len(), 1, "a row for the thread");
    assert_eq!((words[0] >> 52, words[0] & 0xf_ffff), (1, 2));
    drop((outer, inner));
    let guard = lock.write().unwrap();
    assert_eq!(object.u64(gate), 2, "closed");
    assert_eq!(object.u64(4096) >> 52, 1, "and the lock is taken");
    drop(guard);
    assert_eq!((object.u64(gate), object.u64(4096)), (0, 0));
    assert!((0..3).all(|n| object.u64(row(n)) & 0xf_ffff == 0));
}

#[test]
fn events_and_latches_lie_where_the_page_says() {
    let name = format!("layout-event-{}", std::process::id());
    let event = Event::create(&name).unwrap();
    let object = Object::open(&name);
    object.check_header(8, "flag", fnv("Event"), [0; 8]);
    event.set();
    assert_eq!(object.u32(4096), 1);
    event.clear();
    assert_eq!(object.u32(4096), 1 << 3, "cleared once");
    assert_eq!(
        (object.u32(4096 + 12), object.u64(4096 + 16)),
        (8, fnv("Event"))
    );

    let name = format!("layout-latch-{}", std::process::id());
    let latch = Latch::create(&name, 7).unwrap();
    let object = Object::open(&name);
    object.check_header(9, "count", fnv("Latch"), [0; 8]);
    latch.count_down_by(2).unwrap();
    assert_eq!(object.u32(4096), 5);
}

multiproc::shared! {
    struct Progress from ProgressInit { done: Value<u64>, limits: [u16; 3] }

    struct Job from JobInit {
        byte: u8,
        pair: Lock<[u32; 2]>,
        inner: Progress,
        ready: Event,
    }
}

#[test]
fn shared_structs_lie_where_the_page_says() {
    let name = format!("layout-struct-{}", std::process::id());
    let init = JobInit {
        byte: 5,
        pair: [1, 2],
        inner: ProgressInit {
            done: 7,
            limits: [8, 9, 10],
        },
        ready: true,
    };
    let job = Shared::<Job>::create(&name, init).unwrap();
    let object = Object::open(&name);
    let page = include_str!("../docs/layout.md");
    let progress = "Progress{done:7/4d35d3193e8d66f2/0/0;limits:[u16; 3]/6/2;}";
    assert!(page.contains(&format!("`{progress}`")));
    assert_eq!(fnv("u64"), 0x4d35_d319_3e8d_66f2);
    let (pair, event) = (fnv("[u32; 2]/8/4"), fnv("Event"));
    let text = format!(
        "Job{{byte:u8/1/1;pair:6/{pair:016x}/8/4;inner:{progress};ready:8/{event:016x}/0/0;}}"
    );
    object.check_header(17, "Job", fnv(&text), [0; 8]);
    let (head, base) = (4096, 4096 + 64);
    assert_eq!((object.u32(head), object.u32(head + 12)), (3, 17));
    assert_eq!(object.u64(head + 16), fnv(&text));
    let table = [0, 1, 2].map(|i| object.u64(head + 40 + 8 * i));
    assert_eq!(table, [128 << 32 | 6, 192 << 32 | 7, 256 << 32 | 8]);
    assert_eq!(object.bytes(base), [5], "the byte");
    let (lock, value, event_at) = (head + 128, head + 192, head + 256);
    assert_eq!((object.u32(lock + 12), object.u64(lock + 16)), (6, pair));
    assert_eq!((object.u32(lock + 40), object.u32(lock + 44)), (1, 2));
    job.inner.done.fetch_add(1);
    assert_eq!((object.u64(value), object.u32(value + 12)), (8, 7));
    assert_eq!(
        [0, 2, 4].map(|at| object.u16(value + 40 + at)),
        [8, 9, 10],
        "right behind the value"
    );
    assert_eq!(
        (object.u32(event_at) & 1, object.u32(event_at + 12)),
        (1, 8)
    );
    let guard = job.pair.lock().unwrap();
    assert_eq!(object.u64(lock) >> 52, 1, "held by the first member");
    drop(guard);
}

#[test]
fn semaphores_lie_where_the_page_says() {
    let name = format!("layout-semaphore-{}", std::process::id());
    let semaphore = Semaphore::create(&name, 7).unwrap();
    let object = Object::open(&name);
    object.check_header(10, "permits", fnv("Semaphore"), [0; 8]);
    semaphore.acquire_many(2);
    assert_eq!(object.u64(4096), 5 << 32);
    assert_eq!(
        (object.u32(4096 + 12), object.u64(4096 + 16)),
        (10, fnv("Semaphore"))
    );
    semaphore.release(1).unwrap(); // by an exchange, and this thread becomes the giver
    assert_eq!((object.u64(4096), object.u32(4096 + 28)), (6 << 32, 0));
    assert_eq!(object.u64(4096 + 32) >> 52, 1, "the first member");
    semaphore.release(2).unwrap();
    let by_stores = object.u32(4096 + 28);
    assert!([0, 2].contains(&by_stores), "2 where there are barriers");
    assert_eq!(object.u32(4096 + 4) + by_stores, 8);

    let name = format!("layout-bounded-{}", std::process::id());
    let semaphore = BoundedSemaphore::create(&name, 3).unwrap();
    let object = Object::open(&name);
    object.check_header(11, "owned permits", fnv("BoundedSemaphore"), [0; 8]);
    assert_eq!(object.u32(4096 + 32), 3);
    let permits = || [0, 1, 2].map(|i| object.u16(4096 + 40 + 2 * i));
    let all = semaphore.acquire_many(3);
    assert_eq!(permits(), [1; 3], "this is the first member");
    drop(all);
    semaphore.acquire().leak();
    let mut after = permits();
    after.sort();
    assert_eq!(after, [0, 0, 4095]);
}

/// The only object of this process that has no name and is a pipe.
fn anonymous_pipe() -> Object {
    let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let found = fds.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let name = target.to_str()?.strip_prefix("/memfd:")?.to_owned();
        let file = File::open(entry.path()).ok()?;
        Some(Object { file, name }).filter(|object| object.u16(12) == 3)
    });
    found.last().expect("a pipe")
}

#[test]
fn a_pipe_is_what_the_page_says() {
    let (a, b) = Pipe::<u64, Bytes>::builder().capacity(4096).pair().unwrap();
    a.send_many([7, 8, 9]).unwrap();
    assert_eq!(a.try_recv().map(|_| ()).unwrap_err(), TryRecvError::Empty);
    assert_eq!(b.recv_owned().unwrap(), 7);
    b.send(&[5; 100][..]).unwrap();
    let pipe = anonymous_pipe();
    let param = |i: u64| pipe.u64(136 + 8 * i);
    assert_eq!((param(0), param(1)), (256, 1 | 8 << 8), "lane 0: words");
    assert_eq!((param(2), param(3)), (64, 0), "lane 1: any bytes");

    let lane = 4096;
    assert_eq!((pipe.u64(lane), pipe.u64(lane + 128)), (1, 0), "done, free");
    let record = |i: u64| (pipe.u64(lane + 640 + 16 * i), pipe.u64(lane + 648 + 16 * i));
    let published = 1 << 32 | 1 << 30;
    assert_eq!([0_u64, 1, 2].map(record), [7, 8, 9].map(|n| (published, n)));
    assert_eq!(record(3), (0, 0));

    let lane = lane + 640 + 4096;
    assert_eq!(pipe.u64(lane + 640), 1 << 32 | 1 << 30 | 100);
    assert_eq!(pipe.bytes::<100>(lane + 648), [5; 100]);
    let seat = pipe.u64(lane + 512);
    let pid = u64::from(std::process::id());
    assert_eq!(
        (seat & 7, seat >> 4 & 4095, seat >> 32),
        (1, 1, pid),
        "held"
    );
    drop(b);
    assert_eq!(pipe.u64(lane + 512) & 7, 3, "closed");
}
