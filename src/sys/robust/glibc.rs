//! The C library's side: its list head for this thread, and the self-test of the shared dialect.

use super::list::{Head, Node, ThreadList};
use super::{LINK_OFFSET, THREAD};
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};

/// The kernel's id of the calling thread.
pub(super) fn thread_id() -> u32 {
    // SAFETY: gettid has no preconditions and cannot fail.
    unsafe { libc::gettid() as u32 }
}

/// Has `child` called in every forked child, by the thread that forked.
pub(super) fn after_fork(child: extern "C" fn()) {
    // SAFETY: the handler is a function of this image that touches nothing but a thread local without a destructor.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// What the C library has registered with the kernel for this thread, if its node layout is the one we know.
pub(super) fn registered<'a>() -> Option<&'a Head> {
    if !cfg!(target_env = "gnu") {
        return None; // musl registers late, and keeps something else in the word before its head
    }
    let mut head: *const Head = std::ptr::null();
    let mut size = 0_usize;
    // SAFETY: both out-parameters are writable; 0 means the calling thread.
    let done = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) };
    if done != 0 || size != size_of::<Head>() {
        return None;
    }
    // SAFETY: the kernel returns what this thread registered: null, or its head, which lives as long as the thread.
    let head = unsafe { head.as_ref() }?;
    (head.futex_offset == -(LINK_OFFSET as i64)).then_some(head)
}

/// A robust mutex of the C library, seen as the line that it is to the kernel: a word, and links behind it.
#[repr(C, align(64))]
struct Mutex {
    bytes: libc::pthread_mutex_t,
}

/// A word of ours with its node in the same places.
#[repr(C, align(64))]
#[derive(Debug)]
struct Line {
    word: AtomicU32,
    gap: [u32; 5],
    node: Node,
}

impl Line {
    fn link(&self) -> u64 {
        (&raw const self.word).addr() as u64 + LINK_OFFSET as u64
    }

    fn new() -> Box<Self> {
        Box::new(Line {
            word: AtomicU32::new(0),
            gap: [0; 5],
            node: Node::unlinked(),
        })
    }
}

impl Mutex {
    fn new() -> Option<Box<Self>> {
        let mut mutex = Box::new(Mutex {
            bytes: libc::PTHREAD_MUTEX_INITIALIZER,
        });
        // SAFETY: an all-zero attribute is storage that `init` fills in.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: `attributes` and the mutex are writable and live; each call gets what the one before initialised.
        let done = unsafe {
            libc::pthread_mutexattr_init(&raw mut attributes) == 0
                && libc::pthread_mutexattr_setrobust(
                    &raw mut attributes,
                    libc::PTHREAD_MUTEX_ROBUST,
                ) == 0
                && libc::pthread_mutexattr_setpshared(
                    &raw mut attributes,
                    libc::PTHREAD_PROCESS_SHARED,
                ) == 0
                && libc::pthread_mutex_init(&raw mut mutex.bytes, &raw const attributes) == 0
        };
        done.then_some(mutex)
    }

    fn lock(&mut self) -> bool {
        // SAFETY: an initialised mutex at a fixed address (boxed) that no other thread knows.
        unsafe { libc::pthread_mutex_lock(&raw mut self.bytes) == 0 }
    }

    fn unlock(&mut self) -> bool {
        // SAFETY: as for `lock`; it is this thread that holds it.
        unsafe { libc::pthread_mutex_unlock(&raw mut self.bytes) == 0 }
    }

    /// The 8 bytes at `offset`, as the C library keeps them.
    fn at(&self, offset: usize) -> u64 {
        assert!(offset + 8 <= size_of::<Self>());
        let base = (&raw const *self).cast::<u8>();
        // SAFETY: in bounds by the assertion; read volatile because the C library writes it behind our back.
        unsafe { base.add(offset).cast::<u64>().read_volatile() }
    }

    fn link(&self) -> u64 {
        (&raw const *self).addr() as u64 + LINK_OFFSET as u64
    }

    fn prev(&self) -> u64 {
        self.at(LINK_OFFSET - 8)
    }

    fn next(&self) -> u64 {
        self.at(LINK_OFFSET)
    }
}

/// Links a word of ours between two robust mutexes of the C library and checks every pointer on the way.
///
/// Runs once per process, in the first thread that locks, whose list is at `head` and has nothing pending. What was taken
/// is given back even when a check fails.
pub(super) fn self_test(head: &Head) -> bool {
    let before = head.first.load(Relaxed);
    let (Some(mut older), Some(mut newer)) = (Mutex::new(), Mutex::new()) else {
        return false;
    };
    if head.pending.load(Relaxed) != 0 || !older.lock() {
        return false;
    }
    let mut agreed = head.first.load(Relaxed) == older.link()
        && older.next() == before
        && older.prev() == head.link()
        && older.at(0) as u32 & THREAD == thread_id();
    if agreed {
        agreed = ours_between(head, &mut older, &mut newer);
    } else {
        older.unlock();
    }
    agreed && head.first.load(Relaxed) == before && head.pending.load(Relaxed) == 0
}

/// With `older` held: links ours, then `newer`; takes out `older` from the end and ours from the middle.
fn ours_between(head: &Head, older: &mut Mutex, newer: &mut Mutex) -> bool {
    let before = older.next();
    let line = Line::new();
    let ours = line.link();
    let list = ThreadList::here();
    let mut agreed = list.begin(&line.node) && head.pending.load(Relaxed) == ours;
    list.settle();
    list.finish();
    agreed &= head.first.load(Relaxed) == ours && older.prev() == ours;
    let locked = newer.lock();
    agreed &= locked && newer.next() == ours && line.node.links() == (newer.link(), older.link());
    agreed &= older.unlock() && line.node.links() == (newer.link(), before);
    list.begin_release(&line.node);
    list.finish();
    agreed &= locked && newer.next() == before;
    if locked {
        agreed &= newer.unlock();
    }
    agreed
}

const _: () = assert!(std::mem::offset_of!(Line, node) + 8 == LINK_OFFSET);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::robust::UNLISTED;

    #[test]
    fn the_dialect_is_understood_on_this_c_library() {
        let word = ThreadList::arrived().claim() as u32;
        assert_eq!(word & UNLISTED == 0, cfg!(target_env = "gnu"));
    }

    #[test]
    fn every_thread_has_a_claim_of_its_own() {
        let here = ThreadList::arrived().claim();
        let there = std::thread::spawn(|| ThreadList::arrived().claim());
        let there = there.join().unwrap();
        assert_ne!(here, there);
        assert_eq!(here >> 32, there >> 32);
        assert_eq!(here as u32 & THREAD & !UNLISTED, thread_id());
    }

    /// Mutexes of the C library and words of ours come and go in any order on one list.
    #[test]
    fn words_and_mutexes_share_the_list() {
        let list = ThreadList::arrived();
        let Some(head) = registered() else { return };
        let before = head.first.load(Relaxed);
        let lines: Vec<_> = (0..3).map(|_| Line::new()).collect();
        let mut mutex = Mutex::new().unwrap();
        assert!(list.begin(&lines[0].node));
        ThreadList::begin_behind(&lines[1].node);
        assert!(mutex.lock());
        assert_eq!(head.pending.load(Relaxed), 0, "displaced by the mutex");
        ThreadList::begin_behind(&lines[2].node); // the displaced one is on no list, and no worse for it
        assert_ne!(head.first.load(Relaxed), lines[1].link());
        assert!(!list.is_pending(&lines[1].node));
        list.begin_release(&lines[1].node);
        list.finish();
        list.begin_release(&lines[0].node);
        list.finish();
        assert!(mutex.unlock());
        list.begin_release(&lines[2].node);
        list.finish();
        assert_eq!(head.first.load(Relaxed), before);
    }
}
