//! Primitives and queues in a `Shmem`.

use std::fs;

use multiproc::compat::Adopted;
use multiproc::compat::shared_memory::ShmemConf;
use multiproc::{
    Barrier, BoundedSemaphore, Condition, ErrorKind, Event, GetError, Latch, Lock, LockError,
    OnceValue, Process, PutError, Queue, ReentrantLock, RwLock, Semaphore, Shared, Value,
};

use crate::{MEBIBYTE, PATIENCE, name_of, new, open};

multiproc::shared! {
    struct Job from JobInit {
        ready: Event,
        pair: Lock<[u64; 2]>,
        done: Value<u64>,
        limit: u64,
    }
}

fn job() -> JobInit {
    JobInit {
        ready: false,
        pair: [0, 0],
        done: 0,
        limit: 1000,
    }
}

fn adopt(name: &str) -> Adopted {
    Adopted::new(&open(name)).unwrap()
}

fn work(name: String) -> multiproc::Result<()> {
    let adopted = adopt(&name);
    let job: Job = adopted.open("job")?;
    let finished: Latch = adopted.open("finished")?;
    job.ready.wait();
    for _ in 0..job.limit {
        let mut pair = job.pair.lock()?;
        pair[0] += 1;
        pair[1] += 1;
        drop(pair);
        job.done.fetch_add(1);
    }
    finished.count_down().expect("two of us");
    Ok(())
}

/// Every primitive that can lie in memory of somebody else's, as one process makes it and the other finds it.
struct Everything {
    lock: Lock<u32>,
    nested: ReentrantLock<u32>,
    table: RwLock<[u32; 2]>,
    stock: Condition<u32>,
    ready: Event,
    left: Latch,
    room: Semaphore,
    slots: BoundedSemaphore,
    meet: Barrier,
    made: OnceValue<u32>,
    count: Value<u32>,
}

impl Everything {
    fn make(home: &Adopted) -> multiproc::Result<Self> {
        Ok(Everything {
            lock: home.create("lock", 0)?,
            nested: home.create("nested", 0)?,
            table: home.create("table", [0, 0])?,
            stock: home.create("stock", 0)?,
            ready: home.create("ready", false)?,
            left: home.create("left", 1)?,
            room: home.create("room", 0)?,
            slots: home.create("slots", 2)?,
            meet: home.create("meet", 2)?,
            made: home.create("made", ())?,
            count: home.create("count", 0)?,
        })
    }

    fn find(home: &Adopted) -> multiproc::Result<Self> {
        Ok(Everything {
            lock: home.open("lock")?,
            nested: home.open("nested")?,
            table: home.open("table")?,
            stock: home.open("stock")?,
            ready: home.open("ready")?,
            left: home.open("left")?,
            room: home.open("room")?,
            slots: home.open("slots")?,
            meet: home.open("meet")?,
            made: home.open("made")?,
            count: home.open("count")?,
        })
    }
}

/// Leaves a trace at each, and dies holding what can be held.
fn leave_traces(name: String) -> multiproc::Result<()> {
    let all = Everything::find(&adopt(&name))?;
    all.ready.wait();
    all.meet.wait()?;
    let mut stock = all.stock.lock()?;
    *stock = 5;
    drop(stock);
    all.stock.notify_all();
    all.made.get_or_init(|| 9).expect("nobody dies yet");
    all.room.release(1).expect("room");
    all.count.fetch_add(1);
    std::mem::forget(all.slots.acquire_many(2));
    std::mem::forget(all.table.read()?);
    std::mem::forget(all.nested.lock()?);
    *all.lock.lock()? = 1;
    all.left.count_down().expect("one is left");
    std::process::abort();
}

#[test]
fn every_primitive_works_in_memory_of_somebody_elses() {
    let shmem = new(2 * MEBIBYTE);
    let all = Everything::make(&Adopted::new(&shmem).unwrap()).unwrap();
    let child = Process::spawn(leave_traces, (name_of(&shmem),)).unwrap();
    all.ready.set();
    all.meet.wait_timeout(PATIENCE).unwrap();
    let mut stock = all.stock.lock().unwrap();
    stock.wait_while(|stock| *stock == 0).unwrap();
    assert_eq!(*stock, 5);
    drop(stock);
    all.left.wait();
    assert!(child.join().is_err());
    assert_eq!((*all.lock.lock().unwrap(), all.count.load()), (1, 1));
    assert_eq!(all.made.get(), Some(&9));
    all.room.acquire_timeout(PATIENCE).unwrap();
    drop(
        all.slots
            .acquire_many_timeout(2, PATIENCE)
            .expect("the dead's come back"),
    );
    *all.table.write_timeout(PATIENCE).unwrap() = [1, 1];
    assert!(matches!(
        all.nested.lock(),
        Err(LockError::OwnerDied { .. })
    ));
    assert!(all.meet.wait_timeout(PATIENCE).is_err(), "a party has died");
}

#[test]
fn primitives_work_in_memory_of_somebody_elses() {
    let shmem = new(MEBIBYTE);
    let adopted = Adopted::new(&shmem).unwrap();
    let job: Job = adopted.create("job", job()).unwrap();
    let finished: Latch = adopted.create("finished", 2).unwrap();
    let workers = [0, 1].map(|_| Process::spawn(work, (name_of(&shmem),)).unwrap());
    job.ready.set();
    finished.wait();
    workers.iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*job.pair.lock().unwrap(), [2000; 2]);
    assert_eq!(job.done.load(), 2000);
    assert_eq!(shmem.len(), MEBIBYTE);
    let file = format!("/dev/shm{}", name_of(&shmem));
    assert_eq!(fs::metadata(file).unwrap().len(), MEBIBYTE as u64);
}

fn add_and_answer(lock: Lock<u64>) -> multiproc::Result<u64> {
    *lock.lock()? += 1;
    Ok(*lock.lock()?)
}

#[test]
fn handles_travel_after_the_name_is_gone() {
    let shmem = new(MEBIBYTE);
    let adopted = Adopted::new(&shmem).unwrap();
    let lock: Lock<u64> = adopted.create("lock", 5).unwrap();
    drop(shmem);
    let child = Process::spawn(add_and_answer, (lock.clone(),)).unwrap();
    assert_eq!(child.join().unwrap(), 6);
    assert_eq!(*lock.lock().unwrap(), 6);
}

#[test]
fn keys_lead_to_what_was_put_there() {
    let shmem = new(MEBIBYTE);
    let (mine, same) = (Adopted::new(&shmem).unwrap(), Adopted::new(&shmem).unwrap());
    let kind = |error: multiproc::Error| error.kind();
    let first: Value<u8> = mine.create("first", 1).unwrap();
    let second: Value<u8> = same.create("second", 2).unwrap();
    let found: Value<u8> = same.open("first").unwrap();
    first.fetch_add(10);
    assert_eq!((found.load(), second.load()), (11, 2));
    let again = mine.create::<Value<u8>>("first", 0);
    assert_eq!(again.map_err(kind).unwrap_err(), ErrorKind::AlreadyExists);
    let wrong = mine.open::<Value<i8>>("first").map_err(kind);
    assert_eq!(wrong.unwrap_err(), ErrorKind::WrongType);
    let absent = |key: &str| mine.open::<Event>(key).map_err(kind).unwrap_err();
    assert_eq!(absent("third"), ErrorKind::NotFound);
    assert_eq!(absent(&"k".repeat(57)), ErrorKind::InvalidInput);
    assert_eq!(
        mine.open_or_create::<Value<u8>>("first", 0).unwrap().load(),
        11
    );
    mine.remove("first").unwrap();
    assert_eq!(absent("first"), ErrorKind::NotFound);
    mine.create::<Event>("first", true).unwrap();
    assert_eq!(absent("first"), ErrorKind::NotFound, "nobody kept it");
    assert_eq!(found.load(), 11, "who has it keeps it");
}

#[test]
fn there_are_as_many_keys_as_the_page_says() {
    let shmem = new(MEBIBYTE);
    let adopted = Adopted::new(&shmem).unwrap();
    let large = adopted.create::<Lock<[u8; 17_000]>>("large", [0; 17_000]);
    assert_eq!(large.unwrap_err().kind(), ErrorKind::InvalidInput);
    let value = |n: usize| adopted.create::<Value<u64>>(&format!("value-{n}"), n as u64);
    let mut all: Vec<_> = (0..256).map(|n| value(n).unwrap()).collect();
    assert_eq!(value(256).unwrap_err().kind(), ErrorKind::NoSpace);
    all.swap_remove(7);
    all.push(value(256).unwrap());
    let sum: u64 = all.iter().map(Value::load).sum();
    assert_eq!(sum, (0..257).sum::<u64>() - 7);
}

#[test]
fn objects_without_a_key_do_not_go_there() {
    let shmem = new(MEBIBYTE);
    let adopted = Adopted::new(&shmem).unwrap();
    let kept: Value<u64> = adopted.create("kept", 1).unwrap();
    let before = resident(&name_of(&shmem));
    let _many: Vec<_> = (0..1000)
        .map(|_| Shared::<Job>::new(job()).unwrap())
        .collect();
    assert_eq!(resident(&name_of(&shmem)), before);
    assert_eq!(kept.load(), 1);
}

/// The bytes of the file that are not zero.
fn resident(name: &str) -> usize {
    let bytes = fs::read(format!("/dev/shm{name}")).unwrap();
    bytes.iter().filter(|&&byte| byte != 0).count()
}

// What cannot be adopted.

#[test]
fn memory_in_use_or_too_short_or_gone_is_refused() {
    let refused = |shmem: &_| Adopted::new(shmem).unwrap_err().kind();
    assert_eq!(refused(&new(4096)), ErrorKind::InvalidInput);
    assert_eq!(
        refused(&new(Adopted::LEAST - 100_000)),
        ErrorKind::InvalidInput
    );
    Adopted::new(&new(Adopted::LEAST)).unwrap();

    let used = new(MEBIBYTE);
    // SAFETY: nobody else has this memory.
    unsafe { used.as_ptr().add(700_000).write(1) };
    assert_eq!(refused(&used), ErrorKind::Corrupt);

    let nameless = new(MEBIBYTE);
    fs::remove_file(format!("/dev/shm{}", name_of(&nameless))).unwrap();
    assert_eq!(refused(&nameless), ErrorKind::Gone);
    let usurper = ShmemConf::new().os_id(name_of(&nameless)).size(MEBIBYTE);
    let _usurper = usurper.create().unwrap();
    assert_eq!(refused(&nameless), ErrorKind::Gone);

    let queue = new(MEBIBYTE);
    Queue::<u64>::builder().adopt(&queue).unwrap();
    assert_eq!(refused(&queue), ErrorKind::WrongType);
}

#[test]
fn memory_that_was_cut_short_is_refused() {
    let shmem = new(2 * MEBIBYTE);
    let name = name_of(&shmem);
    Adopted::new(&shmem).unwrap();
    let file = fs::File::options()
        .write(true)
        .open(format!("/dev/shm{name}"));
    file.unwrap().set_len(MEBIBYTE as u64).unwrap();
    let late = Process::spawn(adopt_only, (name,)).unwrap();
    assert_eq!(late.join().unwrap(), "Corrupt");
}

fn adopt_only(name: String) -> String {
    match Adopted::new(&open(&name)) {
        Ok(_) => "adopted".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

// Queues.

fn answer(name: String) -> multiproc::Result<u64> {
    let queue = Queue::<String>::builder().adopt(&open(&name))?;
    let mut sum = 0;
    loop {
        match queue.get_owned() {
            Ok(text) => sum += text.len() as u64,
            Err(GetError::Closed) => return Ok(sum),
            Err(other) => return Err(other.into()),
        }
    }
}

#[test]
fn a_queue_fills_the_memory_and_no_more() {
    let shmem = new(2 * MEBIBYTE);
    let builder = Queue::<String>::builder().capacity(64);
    let queue = builder.message_size(1024).adopt(&shmem).unwrap();
    let reader = Process::spawn(answer, (name_of(&shmem),)).unwrap();
    let text = "x".repeat(1000);
    for _ in 0..500 {
        queue.put(&*text).unwrap();
    }
    let long = "x".repeat(100_000);
    assert!(matches!(queue.put(&*long), Err(PutError::NoSpace)));
    queue.put("the end").unwrap();
    queue.close();
    assert_eq!(reader.join().unwrap(), 500 * 1000 + 7);
    let file = fs::metadata(format!("/dev/shm{}", name_of(&shmem))).unwrap();
    assert_eq!(file.len(), 2 * MEBIBYTE as u64);
    let large = Queue::<[u64; 64]>::builder().capacity(100_000);
    let refused = large.adopt(&new(MEBIBYTE)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let named = Queue::<u64>::builder().name("name").adopt(&new(MEBIBYTE));
    assert_eq!(named.unwrap_err().kind(), ErrorKind::InvalidInput);
}

// Death.

fn hold(name: String) {
    let adopted = adopt(&name);
    let pair: Lock<[u64; 2]> = adopted.open("pair").unwrap();
    let _left: Value<u32> = adopted.create("left behind", 1).unwrap();
    let mut guard = pair.lock().unwrap();
    guard[0] = 9;
    adopted.open::<Event>("held").unwrap().set();
    loop {
        std::thread::park();
    }
}

#[test]
fn the_death_of_a_holder_is_told_there_too() {
    let shmem = new(MEBIBYTE);
    let adopted = Adopted::new(&shmem).unwrap();
    let pair: Lock<[u64; 2]> = adopted.create("pair", [1, 1]).unwrap();
    let held: Event = adopted.create("held", false).unwrap();
    let holder = Process::spawn(hold, (name_of(&shmem),)).unwrap();
    held.wait_timeout(PATIENCE).unwrap();
    let living = adopted.create::<Value<u32>>("left behind", 2);
    assert_eq!(living.unwrap_err().kind(), ErrorKind::AlreadyExists);
    holder.kill().unwrap();
    let told = pair.lock().map(drop);
    assert!(matches!(told, Err(LockError::OwnerDied { .. })), "{told:?}");
    let mut mended = pair.recover().unwrap();
    mended[1] = mended[0];
    mended.mark_consistent();
    drop(mended);
    assert_eq!(*pair.lock().unwrap(), [9, 9]);
    assert!(holder.join().is_err());
    // What only the dead have held is replaced.
    let next: Value<u32> = adopted.create("left behind", 2).unwrap();
    assert_eq!(next.load(), 2);
}

/// Adopts, makes, uses and leaves, and dies before step `n` of it.
#[cfg(debug_assertions)]
fn use_until(name: String, n: u64) {
    let shmem = open(&name);
    multiproc::crash_steps::arm(n);
    let adopted = Adopted::new(&shmem).unwrap();
    let job = adopted.open_or_create::<Job>("job", job()).unwrap();
    let mut pair = job.pair.lock().unwrap();
    pair[0] += 1;
    pair[1] += 1;
    drop(pair);
    drop(job);
    adopted.create::<Event>("event", true).unwrap();
    drop(adopted);
}

/// Whatever the dead have left, the next one finds both keys usable, and the memory as it was.
#[cfg(debug_assertions)]
fn goes_on(name: &str) {
    let adopted = adopt(name);
    let job = adopted.open_or_create::<Job>("job", job()).unwrap();
    assert_eq!(job.limit, 1000);
    match job.pair.lock() {
        Ok(pair) => assert_eq!(pair[0], pair[1]),
        Err(LockError::OwnerDied { .. }) => drop(job.pair.reset([1, 1]).unwrap()),
        Err(other) => panic!("{other}"),
    }
    drop(job);
    let event = adopted.create::<Event>("event", false).unwrap();
    assert!(!event.is_set());
    let others = (0..200).map(|n| adopted.create::<Value<u64>>(&format!("value-{n}"), n));
    let others: Vec<_> = others.map(Result::unwrap).collect();
    assert_eq!(
        others.iter().map(Value::load).sum::<u64>(),
        (0..200).sum::<u64>()
    );
}

#[test]
#[cfg(debug_assertions)]
fn a_crash_at_every_step_of_adopting_leaves_nothing_in_the_way() {
    let mut steps = 0;
    loop {
        let shmem = new(MEBIBYTE);
        let name = name_of(&shmem);
        let died = Process::spawn(use_until, (name.clone(), steps)).unwrap();
        let finished = died.join().is_ok();
        goes_on(&name);
        if finished {
            break;
        }
        steps += 1;
    }
    println!("{steps} steps");
    assert!(steps > 30, "{steps} steps");
}
