//! `Shared`: several primitives in one struct, in several processes.

use std::fs;
use std::thread;
use std::time::Duration;

use multiproc::{
    Barrier, BoundedSemaphore, Condition, Event, Latch, Lock, LockError, Once, OnceError,
    OnceValue, Process, Queue, ReentrantLock, Semaphore, Shared, SharedStruct, TryLockError, Value,
};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

multiproc::plain! {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(u8)]
    enum Mode { Idle = 1, Busy = 2 }

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Pair { left: u64, right: u64 }
}

multiproc::shared! {
    /// One of everything.
    #[derive(Debug)]
    struct Job from JobInit {
        pair: Lock<Pair>,
        /// Set when work may begin.
        ready: Event,
        stopped: Event,
        done: Value<u64>,
        mode: Mode,
        limits: [u16; 3],
    }

    /// Too much for a block of an arena.
    struct Large from LargeInit {
        first: Lock<[u8; 3000]>,
        second: Lock<[u8; 3000]>,
        inner: Job,
        begun: Latch,
    }

    struct Nothing from NothingInit {}

    /// What one can wait for.
    struct Waits from WaitsInit {
        stock: Condition<u64>,
        count: ReentrantLock<u32>,
        start: Barrier,
        room: Semaphore,
        left: Latch,
    }
}

fn job() -> JobInit {
    JobInit {
        pair: Pair { left: 1, right: 2 },
        ready: true,
        stopped: false,
        done: 7,
        mode: Mode::Busy,
        limits: [3, 4, 5],
    }
}

fn large() -> LargeInit {
    LargeInit {
        first: [1; 3000],
        second: [2; 3000],
        inner: job(),
        begun: 2,
    }
}

fn name(of: &str) -> String {
    format!("shared-{of}-{}", std::process::id())
}

fn is_new(job: &Job) {
    assert_eq!(*job.pair.lock().unwrap(), Pair { left: 1, right: 2 });
    assert!(job.ready.is_set() && !job.stopped.is_set());
    assert_eq!(job.done.load(), 7);
    assert_eq!((job.mode, job.limits), (Mode::Busy, [3, 4, 5]));
}

#[test]
fn fields_begin_as_they_were_told() {
    is_new(&Shared::<Job>::new(job()).unwrap());
    let named = Shared::<Job>::create(&name("begin"), job()).unwrap();
    is_new(&named);
    is_new(&Shared::<Job>::open(&name("begin")).unwrap());
    let again = Shared::<Job>::open_or_create(&name("begin"), job()).unwrap();
    is_new(&again);
    let idle = JobInit {
        mode: Mode::Idle,
        ..job()
    };
    assert_eq!(Shared::<Job>::new(idle).unwrap().mode, Mode::Idle);
    let large = Shared::<Large>::new(large()).unwrap();
    is_new(&large.inner);
    assert_eq!(*large.first.lock().unwrap(), [1; 3000]);
    assert_eq!(*large.second.lock().unwrap(), [2; 3000]);
    large.begun.count_down().unwrap();
    assert_eq!(large.begun.count(), 1);
    Shared::<Nothing>::new(NothingInit {}).unwrap();
}

#[test]
fn handles_lead_to_the_same_fields() {
    let mine = Shared::<Job>::create(&name("same"), job()).unwrap();
    let same = Shared::<Job>::open(&name("same")).unwrap();
    mine.pair.lock().unwrap().left = 9;
    assert_eq!(same.pair.lock().unwrap().left, 9);
    let guard = mine.pair.lock().unwrap();
    let other = thread::scope(|scope| {
        let elsewhere = scope.spawn(|| same.pair.try_lock().map(drop));
        elsewhere.join().unwrap()
    });
    assert_eq!(other, Err(TryLockError::WouldBlock));
    drop(guard);
    same.stopped.set();
    assert!(mine.clone().stopped.is_set());
    assert_eq!(same.done.fetch_add(1), 7);
    assert_eq!(mine.done.load(), 8);
}

fn work(job: Shared<Job>) -> multiproc::Result<()> {
    job.ready.wait();
    for _ in 0..1000 {
        let mut pair = job.pair.lock()?;
        pair.left += 1;
        pair.right += 1;
        drop(pair);
        job.done.fetch_add(u64::from(job.limits[0]));
    }
    job.stopped.wait();
    Ok(())
}

fn processes_share(job: &Shared<Job>) {
    let workers = [0, 1].map(|_| Process::spawn(work, (job.clone(),)).unwrap());
    job.stopped.set();
    workers.iter().for_each(|worker| worker.join().unwrap());
    let sum = Pair {
        left: 2001,
        right: 2002,
    };
    assert_eq!(*job.pair.lock().unwrap(), sum);
    assert_eq!(job.done.load(), 7 + 2000 * 3);
}

#[test]
fn processes_share_a_struct_with_and_without_a_name() {
    processes_share(&Shared::new(job()).unwrap());
    processes_share(&Shared::create(&name("work"), job()).unwrap());
}

fn take_part(waits: Shared<Waits>) -> multiproc::Result<bool> {
    let turn = waits.start.wait()?;
    let mut stock = waits.stock.lock()?;
    while *stock == 0 {
        stock.wait()?;
    }
    *stock -= 1;
    drop(stock);
    waits.room.acquire();
    let outer = waits.count.lock()?;
    let inner = waits.count.lock()?;
    inner.set(inner.get() + 1);
    drop((inner, outer));
    waits.room.release(1)?;
    waits.left.count_down().expect("three of us");
    Ok(turn.is_leader())
}

fn can_be_waited_for(waits: &Shared<Waits>) {
    let workers = [0; 3].map(|_| Process::spawn(take_part, (waits.clone(),)).unwrap());
    for _ in 0..3 {
        *waits.stock.lock().unwrap() += 1;
        waits.stock.notify_one();
    }
    waits.left.wait_timeout(PATIENCE).unwrap();
    let leaders = workers.iter().map(|worker| worker.join().unwrap());
    assert_eq!(leaders.filter(|&leads| leads).count(), 1);
    assert_eq!(waits.count.lock().unwrap().get(), 3);
    assert_eq!(*waits.stock.lock().unwrap(), 0);
}

#[test]
fn whatever_waits_can_be_a_field() {
    let init = |parties| WaitsInit {
        stock: 0,
        count: 0,
        start: parties,
        room: 1,
        left: 3,
    };
    can_be_waited_for(&Shared::new(init(3)).unwrap());
    can_be_waited_for(&Shared::create(&name("waits"), init(3)).unwrap());
    for parties in [0, 65] {
        let refused = Shared::<Waits>::new(init(parties)).unwrap_err();
        assert_eq!(refused.kind(), multiproc::ErrorKind::InvalidInput);
    }
}

fn hold_all(waits: Shared<Waits>) {
    let _stock = waits.stock.lock().unwrap();
    let _count = waits.count.lock().unwrap();
    waits.left.count_down().unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn every_field_says_that_its_holder_died() {
    let waits = Shared::<Waits>::new(WaitsInit {
        stock: 5,
        count: 6,
        start: 2,
        room: 0,
        left: 1,
    });
    let waits = waits.unwrap();
    let holder = Process::spawn(hold_all, (waits.clone(),)).unwrap();
    waits.left.wait_timeout(PATIENCE).unwrap();
    holder.kill().unwrap();
    let died = |told: Result<(), LockError>| matches!(told, Err(LockError::OwnerDied { .. }));
    assert!(died(waits.stock.lock().map(drop)));
    assert!(died(waits.count.lock().map(drop)));
    drop(waits.stock.reset(0).unwrap());
    drop(waits.count.reset(0).unwrap());
    assert_eq!(*waits.stock.lock().unwrap(), 0);
    assert_eq!(waits.count.lock().unwrap().get(), 0);
}

fn send_conditions(post: Queue<Condition<u64>>) -> multiproc::Result<()> {
    for _ in 0..2 {
        let condition = post.get_owned()?;
        *condition.lock()? += 1;
        condition.notify_all();
    }
    Ok(())
}

#[test]
fn conditions_travel_from_their_struct_and_beside_its_lock() {
    multiproc::shared! {
        struct Store from StoreInit { stock: Condition<u64>, money: Lock<u64> }
    }
    let store = Shared::<Store>::new(StoreInit { stock: 0, money: 5 }).unwrap();
    let earned = Condition::with_lock(&store.money).unwrap();
    let post = Queue::new(2).unwrap();
    post.put(&store.stock).unwrap();
    post.put(&earned).unwrap();
    let child = Process::spawn(send_conditions, (post.clone(),)).unwrap();
    let mut money = earned.lock().unwrap();
    while *money == 5 {
        money.wait_timeout(PATIENCE).unwrap();
    }
    drop(money);
    child.join().unwrap();
    assert_eq!(*store.stock.lock().unwrap(), 1);
    assert_eq!(*store.money.lock().unwrap(), 6);
}

// Fields by themselves.

fn add(done: Value<u64>, pair: Lock<Pair>, go: Event) -> multiproc::Result<u64> {
    go.wait();
    pair.lock()?.right += 10;
    Ok(done.fetch_add(1))
}

fn fields_travel(job: &Job) {
    let fields = (job.done.clone(), job.pair.clone(), job.ready.clone());
    assert_eq!(Process::spawn(add, fields).unwrap().join().unwrap(), 7);
    assert_eq!(job.done.load(), 8);
    assert_eq!(job.pair.lock().unwrap().right, 12);
    let post = Queue::<Lock<Pair>>::new(1).unwrap();
    post.put(&job.pair).unwrap();
    let sent = post.get_owned().unwrap();
    sent.lock().unwrap().left = 0;
    assert_eq!(job.pair.lock().unwrap().left, 0);
}

#[test]
fn a_field_travels_alone() {
    fields_travel(&Shared::<Job>::new(job()).unwrap());
    fields_travel(&Shared::<Job>::create(&name("travel"), job()).unwrap());
    fields_travel(&Shared::<Large>::new(large()).unwrap().inner);
    let outer = Shared::<Large>::create(&name("travel-large"), large()).unwrap();
    fields_travel(&outer.inner);
}

#[test]
fn a_field_keeps_the_struct() {
    let whole = Shared::<Job>::new(job()).unwrap();
    let (pair, mut post) = (whole.pair.clone(), Vec::new());
    for _ in 0..100 {
        let queue = Queue::<Lock<Pair>>::new(1).unwrap();
        queue.put(&pair).unwrap();
        post.push(queue);
    }
    drop(whole);
    let others: Vec<_> = (0..100)
        .map(|_| Shared::<Job>::new(job()).unwrap())
        .collect();
    pair.lock().unwrap().left = 5;
    for queue in post {
        assert_eq!(queue.get_owned().unwrap().lock().unwrap().left, 5);
    }
    others.iter().for_each(|job| is_new(job));
}

#[test]
fn a_handle_leads_to_fields_of_its_type_only() {
    let whole = Shared::<Job>::new(job()).unwrap();
    let address = name("post");
    let post = Queue::<Lock<Pair>>::builder()
        .name(&address)
        .create()
        .unwrap();
    post.put(&whole.pair).unwrap();
    // All locks look alike to a queue.
    let wrong = Queue::<Lock<[u8; 16]>>::open(&address).unwrap().get_owned();
    assert!(format!("{wrong:?}").contains("not a lock of [u8; 16]"));
}

// Types.

mod other {
    use super::{Event, Lock, Pair, Value};

    multiproc::shared! {
        pub struct Job from JobInit {
            pub pair: Lock<Pair>,
            pub ready: Event,
            pub done: Value<u64>,
            pub stopped: Event,
            pub mode: super::Mode,
            pub limits: [u16; 3],
        }
        pub struct Limits from LimitsInit { pub limits: [u16; 3] }
    }

    pub mod renamed {
        multiproc::shared! {
            pub struct Limits from LimitsInit { pub bounds: [u16; 3] }
        }
    }

    pub mod signed {
        multiproc::shared! {
            pub struct Limits from LimitsInit { pub limits: [i16; 3] }
        }
    }

    pub mod atomic {
        multiproc::shared! {
            pub struct Limits from LimitsInit { pub limits: multiproc::Value<u64> }
        }
    }
}

fn refused<T: SharedStruct>(name: &str) -> String {
    let error = Shared::<T>::open(name).unwrap_err();
    assert_eq!(error.kind(), multiproc::ErrorKind::WrongType);
    error.to_string()
}

#[test]
fn another_declaration_is_a_wrong_type() {
    let first = name("types");
    let _job = Shared::<Job>::create(&first, job()).unwrap();
    let text = refused::<Large>(&first);
    assert!(
        text.contains("of Job") && text.contains("of Large"),
        "{text}"
    );
    refused::<other::Job>(&first); // the same fields in another order
    assert!(Event::open(&first).is_err());
    let second = name("limits");
    let init = other::LimitsInit { limits: [1, 2, 3] };
    let _limits = Shared::<other::Limits>::create(&second, init).unwrap();
    refused::<other::renamed::Limits>(&second);
    refused::<other::signed::Limits>(&second);
    refused::<other::atomic::Limits>(&second);
}

// Death.

fn hold(job: Shared<Job>) {
    let mut pair = job.pair.lock().unwrap();
    pair.left = 50;
    job.stopped.set();
    loop {
        thread::park();
    }
}

fn outlives_a_holder(job: &Shared<Job>) {
    let holder = Process::spawn(hold, (job.clone(),)).unwrap();
    job.stopped.wait_timeout(PATIENCE).unwrap();
    holder.kill().unwrap();
    let told = job.pair.lock().map(drop);
    assert!(matches!(told, Err(LockError::OwnerDied { .. })), "{told:?}");
    assert_eq!(job.done.fetch_add(1), 7, "the others do not mind");
    let mut mended = job.pair.recover().unwrap();
    assert_eq!(mended.left, 50);
    mended.right = 50;
    mended.mark_consistent();
    drop(mended);
    assert_eq!(job.pair.lock().unwrap().right, 50);
}

multiproc::shared! {
    /// Who may come in: so many at once.
    struct Gate from GateInit { name: [u8; 3], seats: BoundedSemaphore, seated: Latch, beside: Value<u64> }
}

fn gate(seats: u32) -> GateInit {
    GateInit {
        name: *b"old",
        seats,
        seated: 1,
        beside: u64::MAX,
    }
}

fn sit_down(gate: Shared<Gate>) {
    let _two = gate.seats.acquire_many(2);
    gate.seats.acquire().leak();
    gate.seated.count_down().unwrap();
    loop {
        thread::park();
    }
}

fn outlives_who_was_seated(gate: &Shared<Gate>) {
    assert_eq!((gate.seats.permits(), gate.seats.available()), (4, 4));
    let holder = Process::spawn(sit_down, (gate.clone(),)).unwrap();
    gate.seated.wait_timeout(PATIENCE).unwrap();
    let mine = gate.seats.try_acquire().unwrap();
    assert!(gate.seats.try_acquire().is_err(), "all are held");
    holder.kill().unwrap();
    let theirs = gate.seats.acquire_many_timeout(2, PATIENCE).unwrap();
    assert!(gate.seats.try_acquire().is_err(), "one is nobody's");
    gate.seats.release(1).unwrap();
    gate.seats.release(1).unwrap_err();
    drop((mine, theirs));
    assert_eq!(gate.seats.available(), 4);
    assert_eq!((gate.name, gate.beside.load()), (*b"old", u64::MAX));
}

#[test]
fn the_permits_of_the_dead_come_back_to_the_field() {
    outlives_who_was_seated(&Shared::new(gate(4)).unwrap());
    outlives_who_was_seated(&Shared::create(&name("seats"), gate(4)).unwrap());
}

#[test]
fn as_many_permits_as_a_struct_has_room_for() {
    let all = Shared::<Gate>::new(gate(1000)).unwrap();
    assert_eq!(all.seats.acquire_many(1000).count(), 1000);
    assert_eq!((all.name, all.beside.load()), (*b"old", u64::MAX));
    assert_eq!(all.seated.count(), 1);
    for permits in [0, 1001, BoundedSemaphore::MAX] {
        let refused = Shared::<Gate>::new(gate(permits)).unwrap_err();
        assert_eq!(refused.kind(), multiproc::ErrorKind::InvalidInput);
    }
}

multiproc::shared! {
    /// What the first to come has to do for all.
    #[derive(Debug)]
    struct Setup from SetupInit {
        made: Value<u32>,
        table: OnceValue<[u64; 100]>,
        begun: Once,
        at_it: Event,
        beside: Lock<u64>,
    }
}

fn setup() -> SetupInit {
    SetupInit {
        beside: 9,
        ..Default::default()
    }
}

fn make_table(setup: &Setup) -> [u64; 100] {
    setup.made.fetch_add(1);
    std::array::from_fn(|n| n as u64)
}

fn set_up(setup: Shared<Setup>) -> multiproc::Result<u64> {
    setup.begun.call_once(|| {
        setup.made.fetch_add(1);
    })?;
    assert!(setup.begun.is_completed());
    let table = setup.table.get_or_init(|| make_table(&setup))?;
    Ok(table.iter().sum())
}

fn set_up_once(setup: &Shared<Setup>) {
    assert_eq!(setup.table.get(), None);
    assert!(!setup.begun.is_completed());
    let workers = [0; 3].map(|_| Process::spawn(set_up, (setup.clone(),)).unwrap());
    for worker in workers {
        assert_eq!(worker.join().unwrap(), 4950);
    }
    assert_eq!(setup.made.load(), 2, "each of them once");
    assert_eq!(setup.table.get().unwrap()[99], 99);
    assert_eq!(*setup.beside.lock().unwrap(), 9);
}

#[test]
fn what_is_made_once_can_be_a_field() {
    set_up_once(&Shared::new(setup()).unwrap());
    set_up_once(&Shared::create(&name("once"), setup()).unwrap());
}

fn stay(setup: &Setup) {
    setup.at_it.set();
    loop {
        thread::park();
    }
}

/// Begins with the one or the other, and comes to no end.
fn begin(setup: Shared<Setup>, table: bool) -> multiproc::Result<()> {
    if table {
        setup.table.get_or_init(|| {
            stay(&setup);
            [1; 100]
        })?;
    }
    setup.begun.call_once(|| stay(&setup))?;
    Ok(())
}

fn outlives_an_initialiser(setup: &Shared<Setup>) {
    let moment = Duration::from_millis(1);
    for table in [true, false] {
        let initialiser = Process::spawn(begin, (setup.clone(), table)).unwrap();
        setup.at_it.wait_timeout(PATIENCE).unwrap();
        setup.at_it.clear();
        let waited = if table {
            let other = setup.table.get_or_init_timeout(moment, || [2; 100]);
            other.map(drop)
        } else {
            setup.begun.get_or_init_timeout(moment, || ()).map(drop)
        };
        assert_eq!(waited, Err(OnceError::Timeout));
        initialiser.kill().unwrap();
    }
    set_up_once(setup);
}

#[test]
fn the_death_of_an_initialiser_leaves_the_field_to_the_next() {
    outlives_an_initialiser(&Shared::new(setup()).unwrap());
    outlives_an_initialiser(&Shared::create(&name("once-death"), setup()).unwrap());
}

fn read_table(post: Queue<OnceValue<[u64; 100]>>) -> multiproc::Result<u64> {
    let table = post.get_owned()?;
    Ok(table.get_or_init(|| [7; 100])?[0])
}

#[test]
fn a_once_value_travels_from_its_struct() {
    let setup = Shared::<Setup>::new(setup()).unwrap();
    let post = Queue::new(1).unwrap();
    post.put(&setup.table).unwrap();
    let child = Process::spawn(read_table, (post.clone(),)).unwrap();
    assert_eq!(child.join().unwrap(), 7);
    assert_eq!(setup.table.get(), Some(&[7; 100]));
    assert!(!setup.begun.is_completed());
}

fn pass_through(post: Queue<BoundedSemaphore>) -> multiproc::Result<u32> {
    let seats = post.get_owned()?;
    let _seat = seats.acquire();
    Ok(seats.available())
}

#[test]
fn permits_travel_from_their_struct() {
    let gate = Shared::<Gate>::new(gate(3)).unwrap();
    let post = Queue::new(1).unwrap();
    post.put(&gate.seats).unwrap();
    let mine = gate.seats.acquire();
    let child = Process::spawn(pass_through, (post.clone(),)).unwrap();
    assert_eq!(child.join().unwrap(), 1);
    drop(mine);
    assert_eq!(gate.seats.available(), 3);
}

#[test]
fn the_death_of_a_holder_is_told_by_the_field_that_it_held() {
    outlives_a_holder(&Shared::new(job()).unwrap());
    outlives_a_holder(&Shared::create(&name("death"), job()).unwrap());
}

fn make_and_die(struct_name: String, lock_name: String) {
    let _job = Shared::<Job>::create(&struct_name, job()).unwrap();
    let _lock = Lock::create(&lock_name, 1_u64).unwrap();
    std::process::abort();
}

#[test]
fn what_a_crash_left_under_a_name_is_replaced() {
    let (first, second) = (name("left"), name("left-lock"));
    let maker = Process::spawn(make_and_die, (first.clone(), second.clone())).unwrap();
    assert!(maker.join().is_err());
    let init = JobInit { done: 100, ..job() };
    let replaced = Shared::<Job>::create(&first, init).unwrap();
    assert_eq!(replaced.done.load(), 100);
    assert_eq!(replaced.limits, [3, 4, 5]);
    let lock = Lock::create(&second, 2_u64).unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
}

// What it takes of the system.

/// Descriptors and mappings of a named object in this process.
fn holdings(name: &str) -> (usize, usize) {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (
        links.filter(|link| link.ends_with(name)).count(),
        maps.lines().filter(|line| line.ends_with(name)).count(),
    )
}

/// What this process holds while it has several handles, while it has one field only, and after that.
fn open_and_leave(name: String) -> Vec<(usize, usize)> {
    let handles = [0; 3].map(|_| Shared::<Job>::open(&name).unwrap());
    let field = handles[0].pair.clone();
    let all = holdings(&name);
    drop(handles);
    let one = holdings(&name);
    drop(field);
    vec![all, one, holdings(&name)]
}

#[test]
fn one_descriptor_and_one_mapping_serve_all_fields() {
    let name = name("holdings");
    let _mine = Shared::<Job>::create(&name, job()).unwrap();
    let opener = Process::spawn(open_and_leave, (name,)).unwrap();
    assert_eq!(opener.join().unwrap(), [(1, 1), (1, 1), (0, 0)]);
}
