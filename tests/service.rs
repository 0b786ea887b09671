//! Served objects: who calls, from where, how many at a time; and who dies, stops or panics meanwhile.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use multiproc::{
    CallError, ErrorKind, Event, Manager, Process, Proxy, Queue, Served, Value, process,
};

multiproc::message! {
    /// Where somebody is.
    #[derive(Debug, Clone, PartialEq)]
    struct Place {
        x: i32,
        names: Vec<String>,
    }
}

multiproc::service! {
    /// What the tests call.
    trait Desk {
        /// Adds to the sum.
        fn add(&mut self, amount: u64) -> u64;
        fn sum(&self) -> u64;
        fn reverse(&self, bytes: Vec<u8>) -> Vec<u8>;
        fn go(&mut self, place: Place, far: bool) -> Result<Place, String>;
        fn fail(&mut self, text: String);
        /// Says that it is here, and stays until it is let go.
        fn hold(&mut self, here: Event, go: Event);
        fn nothing(&self);
    }

    trait Other {
        fn add(&mut self, amount: u64) -> u64;
    }
}

#[derive(Default)]
struct Clerk {
    sum: u64,
    place: Option<Place>,
}

impl Desk for Clerk {
    fn add(&mut self, amount: u64) -> u64 {
        self.sum += amount;
        self.sum
    }

    fn sum(&self) -> u64 {
        self.sum
    }

    fn reverse(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.reverse();
        bytes
    }

    fn go(&mut self, place: Place, far: bool) -> Result<Place, String> {
        match far {
            true => Err(format!("{} is too far", place.x)),
            false => Ok(self.place.replace(place.clone()).unwrap_or(place)),
        }
    }

    fn fail(&mut self, text: String) {
        self.sum += 1;
        panic!("{text}");
    }

    fn hold(&mut self, here: Event, go: Event) {
        here.set();
        go.wait();
        self.sum += 1;
    }

    fn nothing(&self) {}
}

fn serve(manager: &Manager) -> Served {
    let clerk = Box::new(Clerk::default());
    manager.serve::<dyn Desk>("desk", clerk).unwrap()
}

fn desk(manager: &Manager) -> Proxy<dyn Desk> {
    manager.proxy("desk").unwrap()
}

/// Serves for as long as the process lives, and says when it does.
fn serve_for_ever(manager: Manager, here: Event) -> multiproc::Result<()> {
    let served = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()))?;
    here.set();
    served.wait();
    Ok(())
}

/// A manager with a server in a process of its own.
fn elsewhere() -> (Manager, Process<()>) {
    let (manager, here) = (Manager::new().unwrap(), Event::new().unwrap());
    let server = Process::spawn(serve_for_ever, (manager.clone(), here.clone())).unwrap();
    here.wait();
    (manager, server)
}

fn signal(process: &Process<()>, signal: i32) {
    // SAFETY: kill touches no memory.
    unsafe { libc::kill(process.pid(), signal) };
}

/// Stops a process, and returns when it stands still.
fn stop(process: &Process<()>) {
    signal(process, libc::SIGSTOP);
    // SAFETY: an all-zero siginfo is valid, and lives through the call, which leaves the process to be waited for.
    unsafe {
        let mut told: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WSTOPPED | libc::WNOWAIT;
        libc::waitid(libc::P_PID, process.pid() as u32, &raw mut told, flags);
    }
}

fn died(server: i32) -> impl Fn(&CallError) -> bool {
    move |error| matches!(error, CallError::ServerDied { pid, .. } if *pid == server as u32)
}

#[test]
fn every_method_crosses() {
    let manager = Manager::new().unwrap();
    let served = serve(&manager);
    let desk = desk(&manager);
    assert_eq!(
        (desk.add(2), desk.add(3), desk.sum()),
        (Ok(2), Ok(5), Ok(5))
    );
    assert_eq!(desk.reverse(vec![1, 2, 3]), Ok(vec![3, 2, 1]));
    let place = Place {
        x: -7,
        names: vec!["here".into(), "there".into()],
    };
    assert_eq!(desk.go(place.clone(), false), Ok(Ok(place.clone())));
    assert_eq!(desk.go(place, true), Ok(Err("-7 is too far".into())));
    assert_eq!(desk.nothing(), Ok(()));
    assert_eq!(
        (served.name(), manager.names().unwrap()),
        ("desk", vec!["desk".to_string()])
    );
}

#[test]
fn large_things_cross() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    for len in [0, 1000, 100_000, 4 << 20] {
        let mut bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let reversed = desk.reverse(bytes.clone()).unwrap();
        bytes.reverse();
        assert!(reversed == bytes, "{len}");
    }
}

fn add_many(desk: Proxy<dyn Desk>, times: u64) -> multiproc::Result<()> {
    for _ in 0..times {
        desk.add(1)?;
    }
    Ok(())
}

#[test]
fn many_processes_and_threads_call_one_object() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    let children: Vec<_> = (0..4)
        .map(|_| Process::spawn(add_many, (desk.clone(), 300)).unwrap())
        .collect();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| add_many(desk.clone(), 100).unwrap());
        }
    });
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(desk.sum(), Ok(4 * 300 + 8 * 100));
}

multiproc::service! {
    trait Meeting {
        fn meet(&self) -> bool;
        fn count(&self) -> u64;
    }
}

struct Room {
    barrier: Barrier,
    count: AtomicU64,
}

impl Meeting for Room {
    fn meet(&self) -> bool {
        let leads = self.barrier.wait().is_leader();
        self.count.fetch_add(1, SeqCst);
        leads
    }

    fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }
}

fn meet(meeting: Proxy<dyn Meeting>) -> multiproc::Result<bool> {
    Ok(meeting.meet()?)
}

#[test]
fn calls_are_run_together_where_that_is_wanted() {
    let manager = Manager::new().unwrap();
    let room = Room {
        barrier: Barrier::new(4),
        count: AtomicU64::new(0),
    };
    let _served = manager
        .serve_concurrent::<dyn Meeting>("room", Box::new(room))
        .unwrap();
    let meeting: Proxy<dyn Meeting> = manager.proxy("room").unwrap();
    let children = [0, 1].map(|_| Process::spawn(meet, (meeting.clone(),)).unwrap());
    let mut leaders = thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| meeting.meet().unwrap()));
        both.map(|thread| u64::from(thread.join().unwrap()))
            .iter()
            .sum()
    });
    for child in children {
        leaders += u64::from(child.join().unwrap());
    }
    assert_eq!((leaders, meeting.count()), (1, Ok(4)));
}

#[test]
fn calls_are_run_one_at_a_time_and_wait_no_longer_than_they_want() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        let holding = scope.spawn(|| desk.hold(here.clone(), go.clone()));
        here.wait();
        let hurried = desk.with_timeout(Duration::from_millis(20));
        assert_eq!(hurried.add(1000), Err(CallError::Timeout));
        let waiting = scope.spawn(|| desk.add(0));
        go.set();
        assert_eq!(holding.join().unwrap(), Ok(()));
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(desk.sum(), Ok(1), "a call that was given up is not begun");
}

#[test]
fn a_panic_is_told_and_the_object_stays() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    match desk.fail("on purpose".into()) {
        Err(CallError::Panicked(panic)) => assert_eq!(panic.message, "on purpose"),
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.sum(), Ok(1));
}

fn hold(desk: Proxy<dyn Desk>, here: Event, go: Event) -> Result<(), String> {
    desk.hold(here, go).map_err(|error| format!("{error:?}"))
}

#[test]
fn all_pending_calls_learn_that_the_server_was_killed() {
    let (manager, server) = elsewhere();
    let desk = desk(&manager);
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    let idle = desk.clone();
    idle.nothing().unwrap();
    let pid = server.pid();
    let (sent, calls) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| desk.hold(here.clone(), go.clone()));
        here.wait();
        let waiting: Vec<_> = (0..6)
            .map(|_| {
                let (desk, sent) = (desk.clone(), sent.clone());
                scope.spawn(move || {
                    sent.send(()).unwrap();
                    desk.add(1)
                })
            })
            .collect();
        waiting.iter().for_each(|_| calls.recv().unwrap());
        signal(&server, libc::SIGKILL);
        let told = died(pid);
        assert!(told(&first.join().unwrap().unwrap_err()));
        for thread in waiting {
            assert!(told(&thread.join().unwrap().unwrap_err()));
        }
    });
    assert!(
        died(pid)(&desk.sum().unwrap_err()),
        "nobody serves it since"
    );
    assert_eq!(desk.sum().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(server.join().unwrap_err().kind(), ErrorKind::Signaled);
}

#[test]
fn processes_that_wait_for_a_killed_server_learn_of_it_too() {
    let (manager, server) = elsewhere();
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    let arguments = (desk(&manager), here.clone(), go);
    let child = Process::spawn(hold, arguments).unwrap();
    here.wait();
    signal(&server, libc::SIGKILL);
    let error = child.join().unwrap().unwrap_err();
    assert!(
        error.contains(&format!("ServerDied {{ pid: {}", server.pid())),
        "{error}"
    );
}

#[test]
fn a_stopped_server_is_waited_for_as_long_as_one_wants() {
    let (manager, server) = elsewhere();
    let connected = desk(&manager);
    connected.nothing().unwrap();
    let connected = connected.with_timeout(Duration::from_millis(50));
    let fresh = desk(&manager).with_timeout(Duration::from_millis(50));
    stop(&server);
    assert_eq!(connected.sum(), Err(CallError::Timeout));
    assert_eq!(fresh.sum(), Err(CallError::Timeout), "not even connected");
    signal(&server, libc::SIGCONT);
    assert_eq!(desk(&manager).sum(), Ok(0));
    stop(&server);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| desk(&manager).sum());
        signal(&server, libc::SIGKILL);
        assert!(died(server.pid())(&waiting.join().unwrap().unwrap_err()));
    });
}

#[test]
fn a_caller_that_is_killed_holds_up_nobody() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    let child = Process::spawn(hold, (desk.clone(), here.clone(), go.clone())).unwrap();
    here.wait();
    child.kill().unwrap();
    assert!(child.join().is_err());
    go.set();
    assert_eq!(desk.sum(), Ok(1));
}

#[test]
fn other_types_and_names_are_refused() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let kind = |error: multiproc::Error| error.kind();
    let other = manager.proxy::<dyn Other>("desk").unwrap_err();
    assert_eq!(kind(other), ErrorKind::WrongType);
    let cell = manager.open_cell::<u64>("desk").unwrap_err();
    assert_eq!(kind(cell), ErrorKind::WrongType);
    let missing = manager.proxy::<dyn Desk>("nothing").unwrap_err();
    assert_eq!(kind(missing), ErrorKind::NotFound);
    let bad = manager.serve::<dyn Desk>("", Box::new(Clerk::default()));
    assert_eq!(kind(bad.unwrap_err()), ErrorKind::InvalidInput);
    manager.cell("number", 1_u64).unwrap();
    let taken = manager.serve::<dyn Desk>("number", Box::new(Clerk::default()));
    assert_eq!(kind(taken.unwrap_err()), ErrorKind::WrongType);
}

#[test]
fn a_name_is_served_by_one_at_a_time_and_again_later() {
    let manager = Manager::new().unwrap();
    let served = serve(&manager);
    let desk = desk(&manager);
    desk.add(5).unwrap();
    let second = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()));
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(served);
    assert_eq!(desk.sum(), Err(CallError::Closed));
    let _served = serve(&manager);
    assert_eq!(desk.sum(), Ok(0), "the same proxy, another object");
}

#[test]
fn another_serves_what_a_dead_process_has_served() {
    let (manager, server) = elsewhere();
    let second = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()));
    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let desk = desk(&manager);
    desk.add(5).unwrap();
    signal(&server, libc::SIGKILL);
    assert!(server.join().is_err());
    let _served = serve(&manager);
    // The connection that was left from the last call leads to the dead.
    let told = desk.sum();
    assert!(told == Ok(0) || died(server.pid())(&told.unwrap_err()));
    assert_eq!(desk.sum(), Ok(0));
}

#[test]
fn who_stops_finishes_what_is_being_run_and_nothing_else() {
    let manager = Manager::new().unwrap();
    let served = serve(&manager);
    let desk = desk(&manager);
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        let holding = scope.spawn(|| desk.hold(here.clone(), go.clone()));
        here.wait();
        let waiting = [0, 1].map(|_| scope.spawn(|| desk.add(1)));
        served.stop();
        let stopping = scope.spawn(|| served.wait());
        assert_eq!(desk.sum(), Err(CallError::Closed));
        go.set();
        stopping.join().unwrap();
        assert_eq!(holding.join().unwrap(), Ok(()));
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Err(CallError::Closed));
        }
    });
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn leave_nothing(rounds: u32) -> multiproc::Result<()> {
    let manager = Manager::new()?;
    let (before, descriptors) = (threads(), || {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    });
    let mut counts = Vec::new();
    for _ in 0..rounds {
        let served = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()))?;
        let desk = manager.proxy::<dyn Desk>("desk")?;
        let lazy = desk.clone(); // whose connections wait for another call
        thread::scope(|scope| {
            let calls = [0; 5].map(|_| scope.spawn(|| desk.add(1).unwrap()));
            let sums = calls.map(|thread| thread.join().unwrap()); // the threads are gone, and not only done
            assert_eq!(sums.iter().max(), Some(&5));
        });
        drop(served);
        assert_eq!(threads(), before);
        assert_eq!(lazy.sum(), Err(CallError::Closed));
        drop((desk, lazy));
        counts.push(descriptors());
    }
    // Whoever rings a bell for the first time makes a socket, which stays.
    assert!(
        counts.iter().all(|&count| count <= counts[0] + 1),
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn no_thread_and_no_descriptor_is_left_behind() {
    // In a process of its own, where nobody else has threads.
    let alone = Process::spawn(leave_nothing, (8,)).unwrap();
    alone.join().unwrap();
}

fn call_what_comes(proxies: Queue<Proxy<dyn Desk>>) -> multiproc::Result<u64> {
    Ok(proxies.get_owned()?.add(7)?)
}

#[test]
fn a_proxy_travels_in_messages_cells_and_dictionaries() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let desk = desk(&manager);
    let queue = Queue::<Proxy<dyn Desk>>::new(4).unwrap();
    queue.put(&desk).unwrap();
    let child = Process::spawn(call_what_comes, (queue,)).unwrap();
    assert_eq!(child.join().unwrap(), 7);
    let cell = manager.cell("cell", desk.clone()).unwrap();
    assert_eq!(cell.get_owned().unwrap().add(1), Ok(8));
    let dict = manager.dict::<String, Proxy<dyn Desk>>("dict").unwrap();
    dict.insert("desk", &desk).unwrap();
    assert_eq!(dict.get_owned("desk").unwrap().unwrap().add(1), Ok(9));
    assert!(format!("{desk:?}").starts_with("Proxy<dyn Desk>("));
}

/// Forks with a connection that waits for the next call, and has parent and child call.
fn call_in_a_fork(desk: Proxy<dyn Desk>) -> multiproc::Result<u64> {
    desk.add(1)?;
    let theirs = desk.clone();
    // SAFETY: the process has one thread, and the child does nothing that a parent's thread would have to go on with.
    let child = unsafe {
        process::fork(move || {
            let sum = theirs.add(10);
            sum.is_ok_and(|sum| theirs.add(10) == Ok(sum + 10))
        })?
    };
    assert!(child.join()?);
    Ok(desk.add(1)?)
}

#[test]
fn a_forked_child_calls_by_connections_of_its_own() {
    let manager = Manager::new().unwrap();
    let _served = serve(&manager);
    let forks = Process::spawn(call_in_a_fork, (desk(&manager),)).unwrap();
    assert_eq!(forks.join().unwrap(), 22);
}

/// A forked child has no part in what its parent serves, and dropping it there ends nothing.
fn fork_a_server() -> multiproc::Result<bool> {
    let manager = Manager::new()?;
    let served = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()))?;
    let desk = manager.proxy::<dyn Desk>("desk")?;
    desk.add(1)?;
    // SAFETY: the child does nothing but let go of what it was left, which waits for no other thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        served.stop();
        served.wait();
        drop(served);
        // SAFETY: ends the child without the parent's destructors.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` lives through the call.
    unsafe { libc::waitpid(child, &mut status, 0) };
    Ok(status == 0 && desk.sum() == Ok(1))
}

#[test]
fn a_forked_child_ends_nothing() {
    let forks = Process::spawn(fork_a_server, ()).unwrap();
    assert!(forks.join().unwrap());
}

/// What is served goes on when descriptors are used up, and who comes then is let in once there are some.
fn serve_without_descriptors(calls: Value<u64>) -> multiproc::Result<bool> {
    let manager = Manager::new()?;
    let served = manager.serve::<dyn Desk>("desk", Box::new(Clerk::default()))?;
    let desk = manager.proxy::<dyn Desk>("desk")?;
    let mut limit = libc::rlimit {
        rlim_cur: 64,
        rlim_max: 64,
    };
    // SAFETY: `limit` is valid through the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    desk.nothing()?;
    let files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    calls.store(u64::from(desk.add(1) == Ok(1)));
    let full = thread::scope(|scope| {
        let more = [0, 1].map(|_| scope.spawn(|| desk.add(1)));
        more.map(|thread| thread.join().unwrap())
    });
    drop(files);
    let refused =
        |call: &Result<u64, CallError>| matches!(call, Ok(_) | Err(CallError::NotRun { .. }));
    let sum = desk.sum()?;
    drop(served);
    Ok(full.iter().all(refused) && sum == 1 + full.iter().flatten().count() as u64)
}

#[test]
fn calls_go_on_when_descriptors_are_used_up() {
    let calls = Value::new(0_u64).unwrap();
    let child = Process::spawn(serve_without_descriptors, (calls.clone(),)).unwrap();
    assert!(child.join().unwrap());
    assert_eq!(calls.load(), 1);
}
