//! A name that leads to something that is no object of ours: an error of a kind that says so, at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use multiproc::{ErrorKind, Lock, Queue};

use crate::common::child::{Child, End};
use crate::common::folder::Folder;

use ErrorKind::{Corrupt, PermissionDenied, WrongType, WrongVersion};

/// The bytes of a queue whose users were all killed.
fn remains(folder: &Folder) -> Vec<u8> {
    let mut child = Child::fork(|| {
        let queue = Queue::<u64>::create("remains").expect("create");
        queue.put(7).expect("room");
        // SAFETY: kill and getpid have no memory preconditions.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }
    });
    assert!(child.wait(Duration::from_secs(20)).killed());
    let path = folder.path().join("remains");
    let bytes = fs::read(&path).expect("what is left");
    fs::remove_file(path).expect("removed");
    bytes
}

fn put(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// The same bytes with some of them changed.
fn patched(bytes: &[u8], at: usize, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    copy[at] = change(copy[at]);
    copy
}

/// Makes the thing under its name, and returns the kinds of error that describe it.
type Case = (&'static str, fn(&Path, &[u8]), &'static [ErrorKind]);

const CASES: &[Case] = &[
    ("an empty file", |path, _| put(path, b"", 0o600), &[Corrupt]),
    (
        "a text",
        |path, _| put(path, &b"hello".repeat(3000), 0o600),
        &[Corrupt],
    ),
    (
        "zeroes",
        |path, whole| put(path, &vec![0; whole.len()], 0o600),
        &[Corrupt],
    ),
    (
        "half of an object",
        |path, whole| put(path, &whole[..whole.len() / 2], 0o600),
        &[Corrupt],
    ),
    (
        "a header and nothing else",
        |path, whole| put(path, &whole[..4096], 0o600),
        &[Corrupt],
    ),
    (
        "another magic",
        |path, whole| put(path, &patched(whole, 0, |b| !b), 0o600),
        &[Corrupt],
    ),
    (
        "another version",
        |path, whole| put(path, &patched(whole, 8, |b| b ^ 0x7f), 0o600),
        &[WrongVersion],
    ),
    (
        "open to all",
        |path, whole| put(path, whole, 0o666),
        &[PermissionDenied],
    ),
    (
        "a folder",
        |path, _| fs::create_dir(path).expect("made"),
        &[PermissionDenied, Corrupt],
    ),
    ("a fifo", |path, _| fifo(path), &[PermissionDenied, Corrupt]),
    (
        "a symbolic link",
        |path, whole| link(path, whole),
        &[PermissionDenied],
    ),
    (
        "another user's",
        |path, whole| foreign(path, whole),
        &[PermissionDenied],
    ),
];

fn fifo(path: &Path) {
    let path = std::ffi::CString::new(path.to_str().expect("text")).expect("no zero byte");
    // SAFETY: the path ends with a zero byte and lives through the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn link(path: &Path, whole: &[u8]) {
    let target = path.with_file_name("elsewhere");
    put(&target, whole, 0o600);
    symlink(target, path).expect("linked");
}

/// Only root can make one; for anybody else the file simply may not be read.
fn foreign(path: &Path, whole: &[u8]) {
    put(path, whole, 0o000);
    let _ = std::os::unix::fs::chown(path, Some(65_534), None);
}

pub fn a_bad_object_is_a_typed_error() {
    let folder = Folder::enter();
    let whole = remains(&folder);
    let mut slowest = (Duration::ZERO, "");
    for (what, make, kinds) in CASES {
        let path = folder.path().join("bad");
        make(&path, &whole);
        let mut child = Child::fork(|| judge(what, kinds));
        let begin = Instant::now();
        assert_eq!(child.wait(Duration::from_secs(5)), End::Exited(0), "{what}");
        slowest = slowest.max((begin.elapsed(), what));
        let removed = if path.is_dir() {
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.expect("still there: nobody removes what is not ours");
        let _ = fs::remove_file(folder.path().join("elsewhere"));
    }
    println!(
        "  {} bad objects; the slowest answer took {:?} ({})",
        CASES.len(),
        slowest.0,
        slowest.1
    );
    wrong_types();
}

/// Every way to get at the object says the same, and none of them waits.
fn judge(what: &str, kinds: &[ErrorKind]) -> i32 {
    let verdicts = [
        Queue::<u64>::open("bad").map(drop),
        Queue::<u64>::open_or_create("bad").map(drop),
        Lock::<u64>::open("bad").map(drop),
    ];
    for verdict in verdicts {
        let error = verdict.expect_err(what);
        assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
    }
    let made = Queue::<u64>::create("bad")
        .map(drop)
        .expect_err(what)
        .kind();
    assert!(
        made == ErrorKind::AlreadyExists || kinds.contains(&made),
        "{what}: create says {made:?}"
    );
    multiproc::gc().expect("gc");
    0
}

fn wrong_types() {
    let mut child = Child::fork(|| {
        let queue = Queue::<u64>::create("typed").expect("create");
        let kind = |verdict: multiproc::Result<()>| verdict.expect_err("another type").kind();
        assert_eq!(kind(Queue::<u32>::open("typed").map(drop)), WrongType);
        assert_eq!(kind(Queue::<String>::open("typed").map(drop)), WrongType);
        assert_eq!(kind(Lock::<u64>::open("typed").map(drop)), WrongType);
        assert_eq!(
            kind(Lock::<u64>::open_or_create("typed", 1).map(drop)),
            WrongType
        );
        queue.put(1).expect("room");
        0
    });
    assert_eq!(child.wait(Duration::from_secs(20)), End::Exited(0));
}
