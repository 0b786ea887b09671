//! A struct of primitives: made, found, and its fields used, crashed at every step.

use multiproc::{
    BoundedSemaphore, Event, Lock, LockGuard, LockTimeoutError, OnceValue, Permits, Queue, Shared,
    Value,
};

use crate::engine::{PATIENCE, Scenario, Stage, scenarios};

const NAME: &str = "struct";

/// Two numbers that belong together: they differ only while somebody is at work on them.
type Pair = [u64; 2];

multiproc::shared! {
    struct Job from JobInit {
        limit: u64,
        left: Lock<Pair>,
        right: Lock<Pair>,
        steps: Value<u64>,
        moved: Event,
    }
}

multiproc::shared! {
    /// Permits and a value made once, and what they lie next to.
    struct Gate from GateInit {
        front: Value<u64>,
        permits: BoundedSemaphore,
        middle: Value<u64>,
        table: OnceValue<Pair>,
        back: Value<u64>,
    }
}

const PERMITS: u32 = 3;

const LIMIT: u64 = 0x1122_3344_5566_7788;

pub const SCENARIOS: &[Scenario] = scenarios! {
    "shared: attach and detach": keep attach work;
    "shared: use all fields": keep work work;
    "shared: hold two fields": keep hold work;
    "shared: hold two fields, swept": keep hold sweep;
    "shared: create": keep_none create create;
    "shared: attach a field's handle and hold": keep_handles hold_field work_by_handle;
    "shared: make another in the same arena": keep_handles make_another make_another;
    "shared: pass a gate": keep_gate pass_gate pass_gate;
    "shared: hold a gate": keep_gate hold_gate pass_gate;
    "shared: hold a gate, swept": keep_gate hold_gate sweep;
    "shared: create a gate": keep_no_gate create_gate create_gate;
    "shared: attach permits' handle and hold": keep_permits hold_permits pass_by_permits;
};

fn init() -> JobInit {
    JobInit {
        limit: LIMIT,
        left: [0, 0],
        right: [0, 0],
        steps: 0,
        moved: false,
    }
}

fn open() -> Shared<Job> {
    Shared::open(NAME).expect("open")
}

/// Takes a field's lock whatever happened to its last holder, and mends what that one left.
fn take(lock: &Lock<Pair>) -> LockGuard<'_, Pair> {
    match lock.lock_timeout(PATIENCE / 2) {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "half changed, and not marked");
            guard
        }
        Err(LockTimeoutError::OwnerDied { .. }) => {
            let mut guard = lock.recover().expect("recover");
            guard[1] = guard[0];
            guard.mark_consistent();
            guard
        }
        Err(other) => panic!("{other}"),
    }
}

/// Adds one to both halves, as work that a death may interrupt anywhere.
fn add(mut guard: LockGuard<'_, Pair>, stage: &Stage, id: u64) {
    stage.ledger().putting(id);
    guard[0] += 1;
    guard[1] = guard[0];
    drop(guard);
    stage.ledger().accepted(id);
}

fn use_all(job: &Job, stage: &Stage) {
    assert_eq!(
        job.limit, LIMIT,
        "plain data are the same from the beginning"
    );
    add(take(&job.left), stage, 0);
    add(take(&job.right), stage, 1);
    stage.ledger().putting(2);
    job.steps.fetch_add(1);
    stage.ledger().accepted(2);
    job.moved.set();
    stage.ledger().accepted(3);
}

/// Whoever died where: every lock says what happened to it, and nothing that was finished is lost.
fn check(job: &Job, stage: &Stage) {
    let within = |value: u64, id| {
        let (finished, begun) = stage.ledger().counts(id);
        assert!(
            (finished..=begun).contains(&value),
            "{value} of {finished} to {begun}"
        );
    };
    for (id, lock) in [(0, &job.left), (1, &job.right)] {
        within(take(lock)[0], id);
        drop(lock.try_lock().expect("free and mended"));
    }
    within(job.steps.load(), 2);
    let (set, _) = stage.ledger().counts(3);
    assert!(set == 0 || job.moved.is_set(), "the event is lost");
    assert_eq!(job.limit, LIMIT);
}

fn keep(stage: &Stage) {
    let job = Shared::<Job>::create(NAME, init()).expect("create");
    stage.stand_by();
    check(&job, stage);
}

fn attach(stage: &Stage) {
    stage.armed();
    drop(open());
}

/// Actor and recoverer alike: attach, work, leave.
fn work(stage: &Stage) {
    stage.armed();
    use_all(&open(), stage);
}

/// Dies with both locks in hand, changed.
fn hold(stage: &Stage) {
    stage.armed();
    let job = open();
    for (id, lock) in [(0, &job.left), (1, &job.right)] {
        let mut guard = take(lock);
        stage.ledger().putting(id);
        guard[0] += 1;
        std::mem::forget(guard);
    }
    std::mem::forget(job);
}

fn sweep(stage: &Stage) {
    stage.armed();
    multiproc::gc().expect("gc");
}

/// Whoever died making it: the name works for the next one, and nothing is left when that one leaves.
fn keep_none(stage: &Stage) {
    stage.stand_by();
    let job = Shared::<Job>::open_or_create(NAME, init()).expect("open or create");
    let values = || [take(&job.left)[0], take(&job.right)[0], job.steps.load()];
    let before = values();
    use_all(&job, stage);
    assert_eq!(values(), before.map(|value| value + 1));
    drop(job);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create(stage: &Stage) {
    stage.armed();
    let job = Shared::<Job>::open_or_create(NAME, init()).expect("open or create");
    use_all(&job, stage);
}

/// A struct without a name, found by its handle, or by that of a field of it.
fn keep_handles(stage: &Stage) {
    let job = Shared::<Job>::new(init()).expect("new");
    let builder = || Queue::builder().name("structs").capacity(4);
    let structs: Queue<Shared<Job>> = builder().create().expect("create");
    let fields: Queue<Lock<Pair>> = Queue::builder()
        .name("fields")
        .capacity(4)
        .create()
        .expect("create");
    for _ in 0..2 {
        structs.put(&job).expect("room");
        fields.put(&job.right).expect("room");
    }
    stage.stand_by();
    check(&job, stage);
    let others = [0; 3].map(|_| Shared::<Job>::new(init()).expect("new"));
    for other in &others {
        assert_eq!((other.limit, other.steps.load()), (LIMIT, 0));
        assert!(!other.moved.is_set() && other.right.try_lock().is_ok());
    }
    check(&job, stage);
}

fn by_handle() -> Shared<Job> {
    let structs = Queue::<Shared<Job>>::open("structs").expect("open");
    let message = structs.lease_timeout(PATIENCE / 2).expect("a message");
    message.to_owned().expect("attach")
}

fn work_by_handle(stage: &Stage) {
    stage.armed();
    use_all(&by_handle(), stage);
}

/// Knows nothing of the struct but one lock in it.
fn hold_field(stage: &Stage) {
    stage.armed();
    let fields = Queue::<Lock<Pair>>::open("fields").expect("open");
    let message = fields.lease_timeout(PATIENCE / 2).expect("a message");
    let right = message.to_owned().expect("attach");
    drop(message);
    let mut guard = take(&right);
    stage.ledger().putting(1);
    guard[0] += 1;
    std::mem::forget(guard);
    std::mem::forget(right);
}

fn make_another(stage: &Stage) {
    let first = by_handle();
    stage.armed();
    let second = Shared::<Job>::new(init()).expect("new");
    assert_eq!((second.limit, second.steps.fetch_add(5)), (LIMIT, 0));
    second.left.lock().expect("free")[0] = 9;
    drop((first, second));
}

// A gate: permits of the dead come back, and what they were to make once is made by the next.

fn gate_init() -> GateInit {
    GateInit {
        front: LIMIT,
        permits: PERMITS,
        middle: LIMIT,
        table: (),
        back: LIMIT,
    }
}

fn open_gate() -> Shared<Gate> {
    Shared::open(NAME).expect("open")
}

fn take_permits(permits: &BoundedSemaphore, count: u32) -> Permits<'_> {
    let taken = permits.acquire_many_timeout(count, PATIENCE / 2);
    taken.expect("the dead's permits come back")
}

/// Gets the value, which the first to come makes; `who` tells the values of different makers apart.
fn made_by(table: &OnceValue<Pair>, who: u64) -> Pair {
    let pair = table.get_or_init_timeout(PATIENCE / 2, || [who; 2]);
    let pair = *pair.expect("waited for the dead");
    assert_eq!(pair[0], pair[1], "half a value");
    pair
}

fn check_gate(gate: &Gate, stage: &Stage) {
    let before = gate.table.get().copied();
    let pair = made_by(&gate.table, 99);
    assert!(before.is_none_or(|before| before == pair));
    assert!(!stage.completed() || pair != [99; 2], "made twice");
    assert_eq!(made_by(&gate.table, 98), pair);
    check_permits(gate);
}

fn check_permits(gate: &Gate) {
    drop(take_permits(&gate.permits, PERMITS));
    assert_eq!(gate.permits.available(), PERMITS);
    for beside in [&gate.front, &gate.middle, &gate.back] {
        assert_eq!(beside.load(), LIMIT, "not the field that was used");
    }
}

fn keep_gate(stage: &Stage) {
    let gate = Shared::<Gate>::create(NAME, gate_init()).expect("create");
    stage.stand_by();
    check_gate(&gate, stage);
}

fn pass(gate: &Gate) {
    let two = take_permits(&gate.permits, 2);
    made_by(&gate.table, 1);
    drop(two);
}

fn pass_gate(stage: &Stage) {
    let gate = open_gate();
    stage.armed();
    pass(&gate);
}

/// Dies with permits in hand, having made the value.
fn hold_gate(stage: &Stage) {
    let gate = open_gate();
    stage.armed();
    std::mem::forget(take_permits(&gate.permits, 2));
    made_by(&gate.table, 2);
    std::mem::forget(gate);
}

fn keep_no_gate(stage: &Stage) {
    stage.stand_by();
    let gate = Shared::<Gate>::open_or_create(NAME, gate_init()).expect("open or create");
    check_permits(&gate);
    made_by(&gate.table, 3);
    drop(gate);
    assert_eq!(
        stage.leftovers(),
        0,
        "the last one left and something remains"
    );
}

fn create_gate(stage: &Stage) {
    stage.armed();
    let gate = Shared::<Gate>::open_or_create(NAME, gate_init()).expect("open or create");
    pass(&gate);
}

/// A gate without a name, found by the handle of its permits.
fn keep_permits(stage: &Stage) {
    let gate = Shared::<Gate>::new(gate_init()).expect("new");
    let permits: Queue<BoundedSemaphore> = Queue::builder()
        .name("permits")
        .capacity(4)
        .create()
        .expect("create");
    for _ in 0..2 {
        permits.put(&gate.permits).expect("room");
    }
    stage.stand_by();
    check_permits(&gate);
}

fn permits_by_handle() -> BoundedSemaphore {
    let permits = Queue::<BoundedSemaphore>::open("permits").expect("open");
    let message = permits.lease_timeout(PATIENCE / 2).expect("a message");
    message.to_owned().expect("attach")
}

fn hold_permits(stage: &Stage) {
    stage.armed();
    let permits = permits_by_handle();
    std::mem::forget(take_permits(&permits, 2));
    std::mem::forget(permits);
}

fn pass_by_permits(stage: &Stage) {
    stage.armed();
    drop(take_permits(&permits_by_handle(), 2));
}
