//! What `shared_memory` 0.12 and `raw_sync` 0.1 do, and this crate does not. A test whose fault has been mended there says
//! so and passes: the reason is then to be taken off the list in ARCHITECTURE.md.

use std::path::Path;
use std::time::{Duration, Instant};

use multiproc::compat::Adopted;
use multiproc::compat::raw_sync::Timeout;
use multiproc::compat::raw_sync::events::{Event as TheirEvent, EventInit};
use multiproc::compat::raw_sync::locks::{LockInit, Mutex};
use multiproc::compat::shared_memory::ShmemConf;
use multiproc::{ErrorKind, Event, Lock, LockError, Process};

use crate::{MEBIBYTE, PATIENCE, name_of, new, open};

fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// A file system of one mebibyte in place of `/dev/shm`, for this process alone; false where that is not allowed.
fn small_dev_shm() -> bool {
    let (none, root, shm, kind) = (c"none", c"/", c"/dev/shm", c"tmpfs");
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all strings end with a zero byte and live through the calls, which concern this process alone.
    unsafe {
        let (size, nothing) = (c"size=1m".as_ptr().cast(), std::ptr::null());
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                none.as_ptr(),
                root.as_ptr(),
                none.as_ptr(),
                private,
                nothing,
            ) == 0
            && libc::mount(none.as_ptr(), shm.as_ptr(), kind.as_ptr(), 0, size) == 0
    }
}

/// Eight mebibytes where there is one; says how it went, if it lives to say so.
fn more_than_there_is(ours: bool) -> String {
    if !small_dev_shm() {
        return "not allowed".to_owned();
    }
    let Ok(shmem) = ShmemConf::new().size(8 * MEBIBYTE).create() else {
        return "refused".to_owned();
    };
    if ours {
        return format!("{:?}", Adopted::new(&shmem).unwrap_err().kind());
    }
    for page in (0..shmem.len()).step_by(4096) {
        // SAFETY: inside of the mapping, which nobody else has.
        unsafe { shmem.as_ptr().add(page).write_volatile(1) };
    }
    "touched".to_owned()
}

#[test]
fn no_space_is_an_error_here_and_sigbus_there() {
    let run = |ours| Process::spawn(more_than_there_is, (ours,)).unwrap();
    let theirs = run(false);
    match theirs.join().as_deref() {
        Ok("not allowed") => return skipped("mounting a file system is for root"),
        Ok(told) => skipped(&format!(
            "shared_memory says in time that there is no space: {told}"
        )),
        Err(_) => {
            let end = theirs.exit_status().expect("it has ended");
            assert_eq!(end.signal(), Some(libc::SIGBUS), "{end:?}");
        }
    }
    assert_eq!(
        run(true).join().unwrap(),
        format!("{:?}", ErrorKind::NoSpace)
    );
}

/// Whether the name is still there after a forked child has dropped what it inherited.
fn survives_a_forked_child() -> bool {
    let shmem = new(4096);
    let path = format!("/dev/shm{}", name_of(&shmem));
    assert!(Path::new(&path).exists());
    // SAFETY: this process has one thread, and its child does nothing but drop a value and end.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            drop(shmem);
            libc::_exit(0);
        }
        assert_eq!(libc::waitpid(pid, std::ptr::null_mut(), 0), pid);
    }
    Path::new(&path).exists()
}

/// The same with an object of ours.
fn ours_survives_a_forked_child() -> bool {
    let name = format!("compat-forked-{}", std::process::id());
    let lock = Lock::create(&name, 1_u32).unwrap();
    // SAFETY: as above.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            drop(lock);
            libc::_exit(0);
        }
        assert_eq!(libc::waitpid(pid, std::ptr::null_mut(), 0), pid);
    }
    Lock::<u32>::open(&name).is_ok()
}

#[test]
fn a_forked_child_removes_their_name_and_not_ours() {
    if Process::spawn(survives_a_forked_child, ())
        .unwrap()
        .join()
        .unwrap()
    {
        skipped("shared_memory leaves the name to the process that made it");
    }
    let ours = Process::spawn(ours_survives_a_forked_child, ()).unwrap();
    assert!(ours.join().unwrap());
}

fn hold_both(name: String, ours: Lock<()>, ready: Event) {
    let shmem = open(&name);
    // SAFETY: the parent has made a mutex there, which lives as long as the mapping.
    let (theirs, _) = unsafe { Mutex::from_existing(shmem.as_ptr(), shmem.as_ptr()) }.unwrap();
    let _theirs = theirs.lock().unwrap();
    let _ours = ours.lock().unwrap();
    ready.set();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_holder_leaves_their_mutex_locked_and_marks_ours() {
    let shmem = new(4096);
    // SAFETY: 4096 bytes are enough for a mutex, and nobody else uses them yet.
    let (theirs, _) = unsafe { Mutex::new(shmem.as_ptr(), shmem.as_ptr()) }.unwrap();
    let (ours, ready) = (Lock::new(()).unwrap(), Event::new().unwrap());
    let arguments = (name_of(&shmem), ours.clone(), ready.clone());
    let holder = Process::spawn(hold_both, arguments).unwrap();
    ready.wait_timeout(PATIENCE).unwrap();
    holder.kill().unwrap();
    assert!(holder.join().is_err());
    let died = ours.lock().map(drop);
    assert!(matches!(died, Err(LockError::OwnerDied { .. })), "{died:?}");
    // Their timed attempts may end early, so it takes several to be sure.
    let enough = Instant::now() + Duration::from_millis(500);
    while Instant::now() < enough {
        if theirs
            .try_lock(Timeout::Val(Duration::from_millis(100)))
            .is_ok()
        {
            return skipped("raw_sync's mutex is robust now");
        }
    }
}

#[test]
fn their_timed_wait_comes_back_early_and_ours_does_not() {
    let shmem = new(4096);
    // SAFETY: 4096 bytes are enough for an event, and nobody else uses them.
    let (theirs, _) = unsafe { TheirEvent::new(shmem.as_ptr(), false) }.unwrap();
    let (wait, early) = (Duration::from_millis(900), Duration::from_millis(800));
    let begin = Instant::now();
    assert!(Event::new().unwrap().wait_timeout(wait).is_err());
    assert!(begin.elapsed() >= wait);
    // Nine of ten come back at once, when the nanoseconds of now and of the wait make more than a second.
    let come_back_early = (0..5).any(|_| {
        let begin = Instant::now();
        assert!(theirs.wait(Timeout::Val(wait)).is_err(), "nobody sets it");
        begin.elapsed() < early
    });
    if !come_back_early {
        skipped("raw_sync carries nanoseconds into seconds now");
    }
}
