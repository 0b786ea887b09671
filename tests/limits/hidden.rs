//! A holder that lets nobody look into its descriptors.

use multiproc::{ErrorKind, Lock, Queue};

use crate::common::board::{Board, Gate, Zeroed};
use crate::common::child::{Child, End};
use crate::common::folder::Folder;

const NOBODY: u32 = 65_534;

#[derive(Debug)]
struct Shared {
    ready: Gate,
    stop: Gate,
}

// SAFETY: gates only.
unsafe impl Zeroed for Shared {}

/// Root may look into any process, so it becomes somebody else first.
fn become_ordinary() {
    // SAFETY: neither call touches memory.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setgid(NOBODY), 0);
            assert_eq!(libc::setuid(NOBODY), 0);
        }
    }
}

fn hide() {
    // SAFETY: prctl with a number for its argument touches no memory.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }, 0);
}

/// The handle of an object without a name that only such a process holds is an error that says so, and no hang.
pub fn a_hidden_holder_is_a_typed_error() {
    let folder = Folder::enter();
    let shared = Board::<Shared>::new();
    // Fails for anybody but root, and then nobody has to become somebody else.
    let _ = std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY));
    let mut holder = Child::fork(|| {
        become_ordinary();
        let lock = Lock::new(7_u64).expect("new");
        let post = Queue::<Lock<u64>>::create("post").expect("create");
        post.put(&lock).expect("room");
        hide();
        shared.ready.open();
        assert!(shared.stop.wait());
        0
    });
    assert!(shared.ready.wait());
    let mut reader = Child::fork(|| {
        become_ordinary();
        let post = Queue::<Lock<u64>>::open("post").expect("open");
        let message = post.lease().expect("a handle");
        let error = message.to_owned().map(drop).expect_err("a hidden holder");
        println!(
            "  a holder that is not dumpable: {:?}: {error}",
            error.kind()
        );
        assert!(
            matches!(error.kind(), ErrorKind::PermissionDenied),
            "{error:?}"
        );
        0
    });
    assert_eq!(
        reader.wait(std::time::Duration::from_secs(20)),
        End::Exited(0)
    );
    shared.stop.open();
    assert_eq!(
        holder.wait(std::time::Duration::from_secs(20)),
        End::Exited(0)
    );
}
