//! No space: said as an error where something is made or put, never as a signal where something is touched.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use multiproc::{Bytes, ErrorKind, Lock, PutError, Queue};

use crate::common::child::{Child, End};
use crate::common::folder::Folder;

const LONG: Duration = Duration::from_secs(60);

/// The exit code of a child that may not do what the test needs.
const NOT_ALLOWED: i32 = 77;

fn judge(mut child: Child, needs: &str) {
    match child.wait(LONG) {
        End::Exited(NOT_ALLOWED) => println!("  skipped: {needs}"),
        end => assert_eq!(end, End::Exited(0)),
    }
}

/// A tmpfs of one MiB over `folder`, for this process alone; false where that is not allowed.
fn small_file_system(folder: &Folder) -> bool {
    let (none, root, kind) = (c"none", c"/", c"tmpfs");
    let target = CString::new(folder.path().to_str().expect("text")).expect("no zero byte");
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all strings end with a zero byte and live through the calls; this process has one thread.
    unsafe {
        let options = c"size=1m,mode=700".as_ptr().cast();
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                none.as_ptr(),
                root.as_ptr(),
                none.as_ptr(),
                private,
                std::ptr::null(),
            ) == 0
            && libc::mount(none.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options) == 0
    }
}

pub fn a_full_file_system_is_a_typed_error() {
    let folder = Folder::enter();
    let child = Child::fork(|| {
        if !small_file_system(&folder) {
            return NOT_ALLOWED;
        }
        let big = Queue::<[u64; 64]>::builder()
            .name("big")
            .capacity(8192)
            .create();
        assert_eq!(
            big.expect_err("4 MiB do not fit").kind(),
            ErrorKind::NoSpace
        );
        assert!(
            folder.entries().is_empty(),
            "a failed creation leaves {:?}",
            folder.entries()
        );
        long_messages();
        many_locks();
        assert!(
            folder.entries().is_empty(),
            "left behind: {:?}",
            folder.entries()
        );
        0
    });
    judge(child, "mounting a tmpfs of 1 MiB is for root");
}

/// Messages beside the queue fill what is left; the queue goes on with what fits.
fn long_messages() {
    let queue = Queue::<Bytes>::builder()
        .name("queue")
        .capacity(64)
        .message_size(64)
        .create();
    let queue = queue.expect("a small queue fits");
    let long = vec![7_u8; 100_000];
    let mut put = 0;
    let full = loop {
        match queue.put(&long[..]) {
            Ok(()) => put += 1,
            Err(full) => break full,
        }
    };
    assert!((1..11).contains(&put), "{put} messages of 100 kB in 1 MiB");
    assert!(matches!(full, PutError::NoSpace), "{full:?}");
    queue.put(&b"short"[..]).expect("room in the slot");
    for _ in 0..put {
        assert_eq!(&*queue.get().expect("a message"), &long[..]);
    }
    assert_eq!(&*queue.get().expect("a message"), b"short");
    queue.put(&long[..]).expect("room again");
}

/// Small objects until nothing more fits: each one whole, or an error.
fn many_locks() {
    let mut locks = Vec::new();
    let full = loop {
        match Lock::create(&format!("lock-{}", locks.len()), [1_u64; 8]) {
            Ok(lock) => locks.push(lock),
            Err(full) => break full,
        }
    };
    assert_eq!(full.kind(), ErrorKind::NoSpace, "{full}");
    assert!(locks.len() > 10);
    assert!(
        locks
            .iter()
            .all(|lock| lock.lock().is_ok_and(|data| *data == [1; 8]))
    );
}

/// Messages of a megabyte until the group is full: each of them is whole, or an error; nobody is killed.
fn long_messages_until_the_limit() {
    let queue = Queue::<Bytes>::new(64).expect("a small queue fits");
    let long = vec![7_u8; 1_000_000];
    let full = loop {
        match queue.put(&long[..]) {
            Ok(()) => assert!(queue.len() < 33, "33 MB in 32 MiB"),
            Err(full) => break full,
        }
    };
    assert!(matches!(full, PutError::NoSpace), "{full:?}");
    queue.put(&b"short"[..]).expect("room in the slot");
    for _ in 1..queue.len() {
        assert_eq!(&*queue.get().expect("a message"), &long[..]);
    }
    assert_eq!(&*queue.get().expect("a message"), b"short");
    queue.put(&long[..]).expect("room again");
}

/// A control group below our own, with a limit of 32 MiB; `None` where there is no such thing to be had.
fn small_cgroup() -> Option<(PathBuf, &'static str)> {
    let mine = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let find = |of: &str| {
        mine.lines()
            .find_map(|l| l.split_once(of).map(|(_, path)| path.to_owned()))
    };
    let (base, limit, own) = match find(":memory:") {
        Some(own) => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", own),
        None => ("/sys/fs/cgroup", "memory.max", find("0::")?),
    };
    let own = Path::new(base).join(own.trim_start_matches('/'));
    let group = own.join(format!("multiproc-test-{}", std::process::id()));
    // In a file system of control groups, where files appear by themselves.
    own.join("cgroup.procs").exists().then_some(())?;
    std::fs::create_dir(&group).ok()?;
    Some((group, limit))
}

pub fn a_full_cgroup_is_a_typed_error() {
    let _folder = Folder::enter();
    let group = small_cgroup();
    let child = Child::fork(|| {
        let Some((group, limit)) = &group else {
            return NOT_ALLOWED;
        };
        let write = |file: &str, text: &str| std::fs::write(group.join(file), text).is_ok();
        if !write(limit, "33554432") || !write("cgroup.procs", &std::process::id().to_string()) {
            return NOT_ALLOWED;
        }
        let big = Queue::<[u64; 64]>::new(200_000);
        let error = big.map(drop).expect_err("100 MiB do not fit into 32");
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        let small = Queue::<[u64; 64]>::new(16).expect("a small one fits");
        small.put([1; 64]).expect("room");
        long_messages_until_the_limit();
        0
    });
    judge(
        child,
        "a control group of one's own with a memory limit is not to be had here",
    );
    if let Some((group, _)) = group {
        std::fs::remove_dir(group).expect("the group is empty again");
    }
}
