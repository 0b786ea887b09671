//! Pipes by name: who meets, who is refused, and who holds up nobody.

#[path = "common/raw.rs"]
mod raw;

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use multiproc::{
    Connection, ErrorKind, Listener, Pipe, Process, Queue, RecvError, SendError, process,
};
use raw::{Packets, directory, readable, socket_of};

const PATIENCE: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_secs(3600);

/// A name that nobody else has.
fn name(of: &str) -> String {
    format!("listener-{of}-{}", std::process::id())
}

/// What nobody but this program knows of.
fn uid() -> u32 {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() }
}

fn double(name: String, numbers: u64) -> multiproc::Result<()> {
    let server = Connection::<u64, u64>::connect(name)?;
    for number in 0..numbers {
        server.send(number)?;
        assert_eq!(server.recv_owned()?, 2 * number);
    }
    Ok(())
}

fn serve(connection: &Connection<u64, u64>) -> u64 {
    let mut count = 0;
    while let Ok(number) = connection.recv_owned() {
        connection.send(2 * number).unwrap();
        count += 1;
    }
    count
}

#[test]
fn a_program_without_an_ancestor_connects_by_name() {
    let name = name("by-name");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let child = Process::spawn(double, (name, 100)).unwrap();
    let connection = listener.accept().unwrap();
    let peer = listener.last_accepted().unwrap();
    assert_eq!(
        (peer.pid(), peer.uid()),
        (child.pid().cast_unsigned(), uid())
    );
    assert_eq!(serve(&connection), 100);
    child.join().unwrap();
}

#[test]
fn many_processes_and_threads_connect_at_once_and_none_is_lost() {
    const THREADS: u64 = 40;
    const PROCESSES: u64 = 12;
    let name = name("crowd");
    let listener = Listener::<u64, u64>::builder()
        .backlog(2)
        .bind(&name)
        .unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| Process::spawn(double, (name.clone(), 50)).unwrap())
        .collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let name = name.clone();
            scope.spawn(move || double(name, 50).unwrap());
        }
        for connection in listener.incoming().take((THREADS + PROCESSES) as usize) {
            let connection = connection.unwrap();
            scope.spawn(move || assert_eq!(serve(&connection), 50));
        }
    });
    children.into_iter().for_each(|child| child.join().unwrap());
    assert!(listener.try_accept().unwrap().is_none());
}

#[test]
fn nobody_is_not_found_and_waited_for_if_wanted() {
    let name = name("late");
    let missing = Connection::<u64, u64>::connect(&name).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let late = Connection::<u64, u64>::connect_timeout(&name, Duration::from_millis(5));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect_timeout(&name, PATIENCE));
        let listener = Listener::<u64, u64>::bind(&name).unwrap();
        let near = listener.accept().unwrap();
        let far = connecting.join().unwrap().unwrap();
        far.send(7).unwrap();
        assert_eq!(near.recv_owned(), Ok(7));
    });
}

#[test]
fn who_is_not_accepted_waits_no_longer_than_he_wants() {
    let name = name("unaccepted");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let late = Connection::<u64, u64>::connect_timeout(&name, Duration::from_millis(20));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
    let none = listener.accept_timeout(Duration::from_millis(20));
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn other_messages_are_refused_on_both_sides_by_name() {
    let name = name("types");
    let listener = Listener::<u64, String>::bind(&name).unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, String>::connect(&name));
        let here = listener.accept().unwrap_err();
        let there = connecting.join().unwrap().unwrap_err();
        for error in [here, there] {
            assert_eq!(error.kind(), ErrorKind::WrongType);
            let text = error.to_string();
            assert!(text.contains("for a Connection<u64, String>"), "{text}");
            assert!(text.contains("has a Connection<u64, String>"), "{text}");
        }
        let good = scope.spawn(|| Connection::<String, u64>::connect(&name));
        listener.accept().unwrap().send(1).unwrap();
        assert_eq!(good.join().unwrap().unwrap().recv_owned(), Ok(1));
    });
}

#[test]
fn other_users_are_refused_on_both_sides_by_number() {
    let name = name("users");
    let listener = Listener::<u64, u64>::builder()
        .only_uid(uid() + 1)
        .bind(&name)
        .unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name));
        let here = listener.accept().unwrap_err();
        let there = connecting.join().unwrap().unwrap_err();
        for error in [here, there] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            let text = error.to_string();
            assert!(text.contains(&format!("of user {} ", uid())), "{text}");
            assert!(
                text.contains(&format!("only user {} may", uid() + 1)),
                "{text}"
            );
        }
    });
}

/// Connects with the rights of another user, which the directory would not let in, and the file system's of this one.
fn intrude(socket: String) -> Vec<u8> {
    // SAFETY: both calls take integers; the process has one thread.
    unsafe {
        assert_eq!(libc::seteuid(12_345), 0);
        libc::setfsuid(0);
    }
    let packets = Packets::connect(socket.as_ref());
    packets.send(b"let me in");
    packets.receive()
}

#[test]
fn a_process_of_another_user_is_told_from_one_of_ours_by_the_kernel() {
    if uid() != 0 {
        return; // only root can become somebody else
    }
    let name = name("intruder");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let socket = socket_of(&name).to_str().unwrap().to_owned();
    let child = Process::spawn(intrude, (socket,)).unwrap();
    let refused = listener.accept().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("user 12345"), "{refused}");
    let answer = child.join().unwrap();
    assert_eq!(answer[12..16], 2_u32.to_ne_bytes(), "permission denied");
}

#[test]
fn a_name_has_one_owner_of_any_kind() {
    let name = name("owner");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let second = Listener::<u64, u64>::bind(&name).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AlreadyExists);
    let queue = Queue::<u64>::create(&name).unwrap_err();
    assert_eq!(queue.kind(), ErrorKind::AlreadyExists);
    assert_eq!(
        Queue::<u64>::open(&name).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    let socket = socket_of(&name);
    assert!(socket.exists());
    drop(listener);
    assert!(!socket.exists() && !directory().join(&name).exists());

    let _queue = Queue::<u64>::create(&name).unwrap();
    let not_one = Connection::<u64, u64>::connect(&name).unwrap_err();
    assert_eq!(not_one.kind(), ErrorKind::WrongType);
    let bad = Connection::<u64, u64>::connect("a/b").unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_longest_name_is_as_good_as_any() {
    let name = format!("{:x<200}", name("long"));
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name).unwrap());
        listener.accept().unwrap().send(1).unwrap();
        assert_eq!(connecting.join().unwrap().recv_owned(), Ok(1));
    });
}

/// Listens in a directory whose own name is longer than a socket's address.
fn meet_far_down(name: String) -> multiproc::Result<u64> {
    let listener = Listener::<u64, u64>::bind(&name)?;
    let connecting = thread::spawn(move || Connection::<u64, u64>::connect(name));
    listener.accept()?.send(1)?;
    let connection = connecting.join().expect("no panic")?;
    Ok(connection.recv_owned()?)
}

#[test]
fn a_long_directory_is_as_good_as_a_short_one() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("d".repeat(200));
    let builder = Process::builder().env("MULTIPROC_DIR", &directory);
    let child = builder.spawn(meet_far_down, (name("deep"),)).unwrap();
    assert_eq!(child.join().unwrap(), 1);
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
}

fn listen_and_hang(name: String, bound: Queue<()>) -> multiproc::Result<()> {
    let _listener = Listener::<u64, u64>::bind(name)?;
    bound.put(())?;
    loop {
        thread::park();
    }
}

/// A name whose listener was killed.
fn stale(name: &str) {
    let bound = Queue::new(1).unwrap();
    let child = Process::spawn(listen_and_hang, (name.to_owned(), bound.clone())).unwrap();
    bound.get_owned().unwrap();
    let taken = Listener::<u64, u64>::bind(name).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    child.kill().unwrap();
    child.join().unwrap_err();
}

#[test]
fn the_name_of_a_killed_listener_is_known_for_what_it_is_and_taken_over() {
    let name = name("stale");
    stale(&name);
    let old = socket_of(&name);
    assert!(old.exists());
    let nobody = Connection::<u64, u64>::connect(&name).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    assert!(nobody.to_string().contains("was killed"), "{nobody}");

    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    assert!(!old.exists());
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name).unwrap());
        listener.accept().unwrap().send(1).unwrap();
        assert_eq!(connecting.join().unwrap().recv_owned(), Ok(1));
    });
}

/// For a child with a directory of names of its own, in which nobody else sweeps.
fn alone() -> (tempfile::TempDir, process::Builder) {
    let parent = tempfile::tempdir().unwrap();
    let builder = Process::builder().env("MULTIPROC_DIR", parent.path().join("names"));
    (parent, builder)
}

fn sweep_what_was_killed(name: String) {
    stale(&name);
    let info = multiproc::objects().unwrap();
    let found = (info[0].kind.as_str(), info[0].type_name.as_str());
    assert_eq!(found, ("listener", "u64, u64"));
    assert_eq!((info[0].members.len(), info[0].dead), (0, 1));
    assert_eq!(multiproc::gc().unwrap().removed, [name]);
    assert_eq!(fs::read_dir(directory()).unwrap().count(), 0);
}

#[test]
fn the_name_of_a_killed_listener_is_swept() {
    let (_directory, builder) = alone();
    let child = builder.spawn(sweep_what_was_killed, (name("swept"),));
    child.unwrap().join().unwrap();
}

#[cfg(debug_assertions)]
fn bind_until(name: String, step: u64) -> multiproc::Result<()> {
    multiproc::crash_steps::arm(step);
    drop(Listener::<u64, u64>::bind(name)?);
    Ok(())
}

#[cfg(debug_assertions)]
fn kill_at_every_step(name: String) -> u64 {
    let held = Listener::<u64, u64>::bind(format!("{name}-held")).unwrap();
    let mut step = 0;
    while Process::spawn(bind_until, (name.clone(), step))
        .unwrap()
        .join()
        .is_err()
    {
        drop(Listener::<u64, u64>::bind(&name).unwrap());
        step += 1;
    }
    let sockets = || fs::read_dir(directory()).unwrap().flatten();
    assert!(multiproc::gc().unwrap().removed.is_empty());
    assert!(
        sockets().count() > 2,
        "the young are left alone, as they may not be held yet"
    );
    sockets().for_each(|socket| raw::make_old(&socket.path()));
    multiproc::gc().unwrap();
    assert_eq!(sockets().count(), 2, "what is held stays");
    drop(held);
    assert_eq!(sockets().count(), 0);
    step
}

/// A listener that is killed before any store of its, as it binds the name and as it lets go of it.
#[test]
#[cfg(debug_assertions)]
fn a_listener_that_is_killed_at_any_step_leaves_nothing_that_is_not_swept() {
    let (_directory, builder) = alone();
    let child = builder.spawn(kill_at_every_step, (name("steps"),));
    assert!(child.unwrap().join().unwrap() > 10);
}

/// Listens, forks a child that lives on and lets go of its copy or not, tells its number, and hangs.
fn listen_and_fork(name: String, lets_go: bool, born: Queue<i32>) -> multiproc::Result<()> {
    let listener = Listener::<u64, u64>::bind(name)?;
    // SAFETY: the process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let gone = listener.try_accept().unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Gone);
        if lets_go {
            drop(listener); // takes nothing from the parent
        } else {
            std::mem::forget(listener);
        }
        born.put(std::process::id().cast_signed())?;
    }
    loop {
        thread::park();
    }
}

#[test]
fn a_forked_child_has_no_part_in_its_parents_listener() {
    outlive_the_listener(name("forked"), false);
    outlive_the_listener(name("forked-and-left"), true);
}

fn outlive_the_listener(name: String, lets_go: bool) {
    let born = Queue::new(1).unwrap();
    let arguments = (name.clone(), lets_go, born.clone());
    let listening = Process::spawn(listen_and_fork, arguments).unwrap();
    let grandchild = born.get_owned().unwrap();
    let taken = Listener::<u64, u64>::bind(&name).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    listening.kill().unwrap();
    listening.join().unwrap_err();
    let nobody = Connection::<u64, u64>::connect(&name).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    Listener::<u64, u64>::bind(&name).unwrap();
    // SAFETY: a number that the grandchild has for as long as it hangs.
    unsafe { libc::kill(grandchild, libc::SIGKILL) };
}

#[test]
fn the_silent_hold_up_nobody() {
    let name = name("silent");
    let listener = Listener::<u64, u64>::builder()
        .handshake_limit(NEVER)
        .bind(&name)
        .unwrap();
    // More than there are places.
    let silent: Vec<_> = (0..100)
        .map(|_| Packets::connect(&socket_of(&name)))
        .collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name).unwrap());
            listener.accept().unwrap().send(1).unwrap();
            assert_eq!(connecting.join().unwrap().recv_owned(), Ok(1));
        }
    });
    drop(silent);
}

#[test]
fn who_is_silent_for_too_long_is_told_to_come_again() {
    let name = name("again");
    let listener = Listener::<u64, u64>::builder()
        .handshake_limit(Duration::from_millis(10))
        .bind(&name)
        .unwrap();
    let silent = Packets::connect(&socket_of(&name));
    // Its descriptor alone says that there is something to do.
    while !raw::first_readable([silent.as_fd(), listener.as_fd()])[0] {
        assert!(listener.try_accept().unwrap().is_none());
    }
    assert_eq!(silent.receive()[12..16], 1_u32.to_ne_bytes());
}

#[test]
fn who_is_stopped_in_the_middle_holds_up_nobody_and_comes_again() {
    let name = name("stopped");
    let listener = Listener::<u64, u64>::builder()
        .handshake_limit(Duration::from_millis(50))
        .bind(&name)
        .unwrap();
    let slow = Process::spawn(double, (name.clone(), 1)).unwrap();
    readable(listener.as_fd());
    // SAFETY: a child that was not reaped yet.
    unsafe { libc::kill(slow.pid(), libc::SIGSTOP) };
    let none = listener.accept_timeout(Duration::from_millis(300));
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Timeout);
    let quick = Process::spawn(double, (name.clone(), 5)).unwrap();
    assert_eq!(serve(&listener.accept().unwrap()), 5);
    quick.join().unwrap();
    // SAFETY: as above.
    unsafe { libc::kill(slow.pid(), libc::SIGCONT) };
    assert_eq!(serve(&listener.accept().unwrap()), 1);
    slow.join().unwrap();
}

#[test]
fn garbage_is_dropped_and_other_versions_are_refused() {
    let name = name("garbage");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let connect = || Packets::connect(&socket_of(&name));
    let (text, long, half) = (connect(), connect(), connect());
    text.send(b"GET / HTTP/1.1\r\n\r\n");
    long.send(&[0xff; 100_000]);
    half.send(b"mp\0door\n\x01");
    for garbage in [text, long, half] {
        assert!(listener.try_accept().unwrap().is_none());
        assert_eq!(garbage.receive(), []);
    }
    let newer = connect();
    newer.send(b"mp\0door\n\xff\0\0\0and whatever is said there");
    let refused = listener.accept().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongVersion);
    assert_eq!(newer.receive()[12..16], 4_u32.to_ne_bytes());
    // Who says that he has what he has not is none.
    let child = Process::spawn(double, (name.clone(), 1)).unwrap();
    assert_eq!(serve(&listener.accept().unwrap()), 1);
    child.join().unwrap();
}

#[test]
fn a_listener_that_makes_no_sense_is_an_error() {
    let name = name("senseless");
    let _listener = Listener::<u64, u64>::bind(&name).unwrap();
    let socket = socket_of(&name);
    fs::remove_file(&socket).unwrap();
    let fake = Packets::listen(&socket);
    let answers: [(&[u8], _); 3] = [
        (b"220 ready\r\n", ErrorKind::Corrupt),
        (b"mp\0door\n\x02\0\0\0?", ErrorKind::WrongVersion),
        (b"", ErrorKind::Disconnected),
    ];
    for (answer, kind) in answers {
        thread::scope(|scope| {
            let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name));
            let peer = fake.accept();
            peer.receive();
            if !answer.is_empty() {
                peer.send(answer);
            }
            drop(peer);
            assert_eq!(connecting.join().unwrap().unwrap_err().kind(), kind);
        });
    }
}

#[test]
fn a_listener_that_ends_tells_whoever_waits() {
    let name = name("ends");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name));
        readable(listener.as_fd());
        drop(listener);
        let left = connecting.join().unwrap().unwrap_err();
        assert_eq!(left.kind(), ErrorKind::Disconnected);
    });
}

#[cfg(debug_assertions)]
fn connect_until(name: String, step: u64) -> multiproc::Result<()> {
    multiproc::crash_steps::arm(step);
    let connection = Connection::<u64, u64>::connect(name)?;
    multiproc::crash_steps::count();
    Ok(connection.send(1)?)
}

/// The next connection that the child makes; `None` if it has ended without one.
#[cfg(debug_assertions)]
fn accept_or_end(
    listener: &Listener<u64, u64>,
    child: &Process<()>,
) -> Option<Connection<u64, u64>> {
    loop {
        let ended = raw::first_readable([child.as_fd(), listener.as_fd()])[0];
        let found = listener.try_accept().unwrap();
        if found.is_some() || ended {
            return found;
        }
    }
}

/// A client that is killed before any store of its, one after the other, until it gets through.
#[test]
#[cfg(debug_assertions)]
fn a_client_that_is_killed_at_any_step_leaves_nothing() {
    let name = name("killed");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    for step in 0.. {
        let child = Process::spawn(connect_until, (name.clone(), step)).unwrap();
        let pid = child.pid().cast_unsigned();
        let accepted = accept_or_end(&listener, &child);
        let survived = child.join().is_ok();
        let Some(connection) = accepted else {
            assert!(!survived, "step {step}");
            continue;
        };
        if survived {
            assert_eq!(connection.recv_owned(), Ok(1));
            assert_eq!(connection.recv_owned(), Err(RecvError::Disconnected));
            assert!(step > 10, "the claims are steps");
            break;
        }
        assert_eq!(connection.recv_owned(), Err(RecvError::PeerDied { pid }));
    }
    let child = Process::spawn(double, (name.clone(), 1)).unwrap();
    assert_eq!(serve(&listener.accept().unwrap()), 1);
    child.join().unwrap();
}

fn connect_and_hang(name: String) -> multiproc::Result<()> {
    let connection = Connection::<u64, u64>::connect(name)?;
    connection.send(1)?;
    loop {
        thread::park();
    }
}

#[test]
fn a_peer_that_is_killed_is_told_with_its_pid() {
    let name = name("peer");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let child = Process::spawn(connect_and_hang, (name,)).unwrap();
    let pid = child.pid().cast_unsigned();
    let connection = listener.accept().unwrap();
    assert_eq!(connection.recv_owned(), Ok(1));
    child.kill().unwrap();
    child.join().unwrap_err();
    assert_eq!(connection.recv_owned(), Err(RecvError::PeerDied { pid }));
    assert_eq!(connection.send(1), Err(SendError::PeerDied { pid }));
}

#[test]
fn connections_outlive_their_listener_and_travel_on() {
    let name = name("outlive");
    let wide = Pipe::builder().capacity(1 << 20);
    let listener = Listener::<u64, u64>::builder().pipe(wide);
    let listener = listener.bind(&name).unwrap();
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Connection::<u64, u64>::connect(&name).unwrap());
        let near = listener.accept().unwrap();
        drop(listener);
        let queue = Queue::<Connection<u64, u64>>::new(1).unwrap();
        queue.put(near).unwrap();
        let near = queue.get_owned().unwrap();
        assert_eq!(near.send_many(0..50_000_u64), Ok(50_000), "it is wide");
        let far = connecting.join().unwrap();
        assert_eq!(far.drain().count(), 50_000);
    });
}

/// The open descriptors of this process.
fn descriptors() -> BTreeSet<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let links = entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some(format!(
            "{} {}",
            entry.file_name().display(),
            target.display()
        ))
    });
    links.filter(|link| !link.contains("/fd")).collect()
}

/// Has clients come and go in every manner, and says what is left of them.
fn come_and_go(name: String) -> multiproc::Result<Vec<String>> {
    let listener = Listener::<u64, u64>::builder()
        .handshake_limit(Duration::from_millis(30))
        .bind(&name)?;
    let round = || -> multiproc::Result<()> {
        let silent = Packets::connect(&socket_of(&name));
        let wrong = thread::spawn({
            let name = name.clone();
            move || Connection::<String, u64>::connect(name).map(drop)
        });
        while listener.try_accept().is_ok() {}
        wrong.join().expect("no panic").unwrap_err();
        let good = thread::spawn({
            let name = name.clone();
            move || double(name, 1)
        });
        assert_eq!(serve(&listener.accept()?), 1);
        good.join().expect("no panic")?;
        while !raw::first_readable([silent.as_fd(), listener.as_fd()])[0] {
            assert!(listener.try_accept()?.is_none());
        }
        Ok(())
    };
    round()?;
    let before = descriptors();
    (0..20).try_for_each(|_| round())?;
    Ok(descriptors().difference(&before).cloned().collect())
}

#[test]
fn nothing_is_left_of_those_who_came() {
    let child = Process::spawn(come_and_go, (name("leaks"),)).unwrap();
    assert_eq!(child.join().unwrap(), Vec::<String>::new());
}

#[test]
fn a_process_that_listens_can_have_children() {
    let name = name("children");
    let listener = Listener::<u64, u64>::bind(&name).unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| Process::spawn(double, (name.clone(), 3)).unwrap())
        .collect();
    let connections: Vec<_> = listener.incoming().take(3).collect();
    for connection in connections {
        assert_eq!(serve(&connection.unwrap()), 3);
    }
    children.into_iter().for_each(|child| child.join().unwrap());
}
