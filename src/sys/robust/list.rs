//! Holding words on the C library's list, and the identity under which this thread claims them.
//!
//! A word that is held alone is not linked at all: it stays *pending* from before its claim until after its release,
//! for the kernel treats a pending word of a dying thread as one on its list. So taking and giving up a lock costs one
//! store each beside the exchange of the word. Only when the thread takes a second word, the first is linked.
//!
//! Should a robust mutex of the C library be locked meanwhile, it overwrites the pending word. That word then is as one
//! beyond the kernel's limit of 2,048: its holder's death is found by asking, not told by the kernel.

use super::{LINK_OFFSET, PID_BITS, UNLISTED, glibc};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};
use crate::sys::identity::current_pid;
use crate::sys::step::step;
use std::cell::Cell;
use std::mem::offset_of;
use std::sync::Once;

/// The links of one held word: addresses in the holder's address space, read by the holder and its kernel only.
///
/// The one place where pointers stand in a segment. Nobody else follows them. `next` is 0 unless the node is linked,
/// except where the holder died: who recovers its word calls [`reset`](Node::reset).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    prev: AtomicU64,
    next: AtomicU64,
}

/// `struct robust_list_head` of the kernel, and the word that the C library keeps in front of it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Head {
    /// The address of the first node's `next`, or of this field itself when nothing is held. Bit 0 is a flag.
    pub(super) first: AtomicU64,
    pub(super) futex_offset: i64,
    /// The address of the `next` of a word about to be claimed, held alone, or just given up.
    pub(super) pending: AtomicU64,
}

/// A head for threads whose real one cannot be used: nobody walks it, and nobody needs to ask which one it has.
#[derive(Debug)]
#[repr(C)]
struct Spare {
    prev: AtomicU64,
    head: Head,
}

/// Bit 0 of a link says that the word is of the priority-inheriting kind; it is not part of the address.
const FLAG: u64 = 1;

/// The calling thread's list and identity; a copy that never leaves its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadList {
    head: *const Head,
    /// {pid:20 | thread word:32}, what this thread puts into the words that it claims.
    claim: u64,
}

/// What a thread has before it first locks: a pending word that is nobody's sends it to the slow path.
static NEWCOMER: Head = Head::with_pending(u64::MAX);

const UNKNOWN: ThreadList = ThreadList {
    head: &raw const NEWCOMER,
    claim: 0,
};

thread_local! {
    static HERE: Cell<ThreadList> = const { Cell::new(UNKNOWN) };
    static SPARE: Spare = const {
        Spare { prev: AtomicU64::new(0), head: Head::with_pending(0) }
    };
}

impl ThreadList {
    /// The calling thread's, as far as it is known.
    #[inline]
    pub(crate) fn here() -> Self {
        HERE.get()
    }

    /// The low 52 bits of every word that this thread claims: its thread word, and above it 20 bits of its pid.
    #[inline]
    pub(crate) fn claim(self) -> u64 {
        self.claim
    }

    /// Names the node as pending, if nothing is: from here to [`finish`](Self::finish) the kernel looks at its word.
    ///
    /// `false`: the thread holds another word, or has never locked; see [`begin_behind`](Self::begin_behind).
    #[inline]
    pub(crate) fn begin(self, node: &Node) -> bool {
        let idle = self.head().pending.load(Relaxed) == 0;
        if idle {
            self.announce(node);
        }
        idle
    }

    /// Links what is pending and names the node in its place. Returns the thread's list, known from here on.
    #[cold]
    pub(crate) fn begin_behind(node: &Node) -> Self {
        let here = Self::arrived();
        here.settle();
        here.announce(node);
        here
    }

    /// Whether the node is pending, and its word thereby this thread's.
    #[inline]
    pub(crate) fn is_pending(self, node: &Node) -> bool {
        self.head().pending.load(Relaxed) == node.link()
    }

    /// Makes the node of a word that this thread holds pending again, and takes it out of the list.
    #[cold]
    pub(crate) fn begin_release(self, node: &Node) {
        self.settle();
        self.announce(node);
        if node.next.load(Relaxed) != 0 {
            node.unlink();
        }
    }

    /// Ends an attempt at a word that turned out to be this thread's already: it stays on the list, or pending.
    pub(crate) fn finish_held(self, node: &Node) {
        if node.next.load(Relaxed) != 0 {
            self.finish();
        }
    }

    /// Nothing is pending any more.
    #[inline]
    pub(crate) fn finish(self) {
        ordered();
        step("robust.finish");
        self.head().pending.store(0, Relaxed);
    }

    #[inline]
    fn announce(self, node: &Node) {
        step("robust.announce");
        self.head().pending.store(node.link(), Relaxed);
        ordered();
    }

    /// Puts the word that is pending, which this thread holds, at the front of the list.
    pub(super) fn settle(self) {
        let head = self.head();
        let pending = head.pending.load(Relaxed);
        if pending == 0 {
            return;
        }
        let first = head.first.load(Relaxed);
        // SAFETY: only words that this thread holds stay pending between its calls, hence the node is mapped.
        let (prev, next) = unsafe { (prev_beside(pending), next_at(pending)) };
        next.store(first, Relaxed);
        prev.store(head.first.as_ptr() as u64, Relaxed);
        // SAFETY: the first node is that of a word which this thread holds, hence mapped; or it is the head.
        unsafe { prev_beside(first) }.store(pending, Relaxed);
        ordered(); // complete before the kernel can see it
        step("robust.link");
        head.first.store(pending, Relaxed);
        ordered(); // on the list before it is not pending any more
    }

    /// The calling thread's list, which it now gets if it has none.
    pub(crate) fn arrived() -> Self {
        let here = Self::here();
        if here.claim == 0 {
            Self::arrive()
        } else {
            here
        }
    }

    #[cold]
    fn arrive() -> Self {
        forget_after_fork();
        let here = glibc::head().map_or_else(Self::unlisted, Self::on);
        HERE.set(here);
        here
    }

    /// On the list with this head.
    pub(super) fn on(head: &Head) -> Self {
        Self::new(head, glibc::thread_id())
    }

    fn unlisted() -> Self {
        SPARE.with(|spare| {
            let own = spare.head.first.as_ptr().expose_provenance() as u64;
            spare.head.first.store(own, Relaxed);
            spare.head.pending.store(0, Relaxed);
            Self::new(&spare.head, glibc::thread_id() | UNLISTED)
        })
    }

    fn new(head: &Head, thread_word: u32) -> Self {
        let pid = u64::from(current_pid() & PID_BITS);
        ThreadList {
            head,
            claim: pid << 32 | u64::from(thread_word),
        }
    }

    #[inline]
    fn head<'a>(self) -> &'a Head {
        // SAFETY: the newcomers' static, or this thread's own head in its control block or among its thread locals,
        // which outlive every copy of this value because none leaves the thread.
        unsafe { &*self.head }
    }
}

impl Head {
    const fn with_pending(pending: u64) -> Self {
        Head {
            first: AtomicU64::new(0),
            futex_offset: -(LINK_OFFSET as i64),
            pending: AtomicU64::new(pending),
        }
    }
}

impl Node {
    /// Forgets the links that a dead holder has left behind.
    pub(crate) fn reset(&self) {
        step("robust.reset");
        self.next.store(0, Relaxed);
        ordered();
    }

    /// What the list holds of a node: the address of its `next`.
    #[inline]
    fn link(&self) -> u64 {
        self.next.as_ptr().expose_provenance() as u64
    }

    fn unlink(&self) {
        let next = self.next.load(Relaxed);
        let prev = self.prev.load(Relaxed);
        // SAFETY: both neighbours are nodes of words which this thread holds, hence mapped; or the head.
        unsafe { prev_beside(next) }.store(prev, Relaxed);
        step("robust.unlink");
        // SAFETY: as above; the previous link is the head's or a node's `next`.
        unsafe { next_at(prev) }.store(next, Relaxed);
        ordered(); // out of the list before its own links change
        self.next.store(0, Relaxed);
        ordered(); // and before the word is given up
    }

    pub(super) fn unlinked() -> Self {
        Node {
            prev: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }

    /// The addresses of the neighbours, `prev` first, for the self-test.
    pub(super) fn links(&self) -> (u64, u64) {
        (self.prev.load(Relaxed), self.next.load(Relaxed))
    }
}

/// Keeps the compiler from moving list steps across one another or across the claim.
///
/// The processor needs no fence: the only other reader is the kernel on behalf of this very thread, after its last
/// instruction.
#[inline(always)]
fn ordered() {
    compiler_fence(SeqCst);
}

/// The link field at the address that a link holds.
///
/// # Safety
///
/// `link` leads to the head or to a node of a word that this thread holds.
#[inline]
unsafe fn next_at<'a>(link: u64) -> &'a AtomicU64 {
    let address = (link & !FLAG) as usize;
    // SAFETY: a mapped, aligned word, by the contract; all accesses to links are atomic.
    unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(address)) }
}

/// The `prev` in front of the `next` at the address that a link holds; the head has one, too.
///
/// # Safety
///
/// As for [`next_at`].
#[inline]
unsafe fn prev_beside<'a>(link: u64) -> &'a AtomicU64 {
    // SAFETY: the same node, one word before; the self-test has shown that the head has that word as well.
    unsafe { next_at((link & !FLAG) - size_of::<u64>() as u64) }
}

/// A forked child is another thread of another process on an empty list: it must not claim words as its parent.
fn forget_after_fork() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| glibc::after_fork(forget));
}

extern "C" fn forget() {
    let here = HERE.replace(UNKNOWN);
    if here.claim != 0 {
        here.head().pending.store(0, Relaxed); // the parent's; the C library itself empties the list
    }
}

const _: () = {
    assert!(size_of::<Node>() == 16 && offset_of!(Node, next) == 8);
    assert!(size_of::<Head>() == 24 && offset_of!(Spare, head) == 8);
    assert!(LINK_OFFSET.is_multiple_of(8));
};
