//! Linking and unlinking in the C library's dialect, and the identity under which this thread claims words.

use super::{LINK_OFFSET, PID_BITS, UNLISTED, glibc};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};
use crate::sys::identity::current_pid;
use crate::sys::step::step;
use std::cell::Cell;
use std::mem::offset_of;
use std::sync::Once;

/// The links of one held word: addresses in the holder's address space, read by the holder and its kernel only.
///
/// The one place where pointers stand in a segment. Nobody else follows them, and the next holder overwrites them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    prev: AtomicU64,
    next: AtomicU64,
}

/// `struct robust_list_head` of the kernel.
#[repr(C)]
pub(super) struct Head {
    /// The address of the first node's `next`, or of this field itself when nothing is held. Bit 0 is a flag.
    pub(super) first: AtomicU64,
    pub(super) futex_offset: i64,
    pub(super) pending: AtomicU64,
}

/// Bit 0 of a link says that the word is of the priority-inheriting kind; it is not part of the address.
const FLAG: u64 = 1;

/// The calling thread's list and identity; a copy that never leaves its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadList {
    /// {pid:20 | thread word:32}, what this thread puts into the words that it claims; 0: not known yet.
    claim: u64,
    /// Null where the list cannot be used.
    head: *const Head,
    pid: u32,
}

const UNKNOWN: ThreadList = ThreadList {
    claim: 0,
    head: std::ptr::null(),
    pid: 0,
};

thread_local! {
    static HERE: Cell<ThreadList> = const { Cell::new(UNKNOWN) };
}

impl ThreadList {
    /// The calling thread's.
    #[inline]
    pub(crate) fn here() -> Self {
        let here = HERE.get();
        if here.claim == 0 {
            return Self::arrive();
        }
        here
    }

    /// The low 52 bits of every word that this thread claims: its thread word, and above it 20 bits of its pid.
    #[inline]
    pub(crate) fn claim(self) -> u64 {
        self.claim
    }

    /// The process id.
    #[inline]
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    /// Whether the kernel marks this thread's words when it dies.
    pub(crate) fn is_listed(self) -> bool {
        !self.head.is_null()
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
        Self::new(glibc::thread_id(), head)
    }

    fn unlisted() -> Self {
        Self::new(glibc::thread_id() | UNLISTED, std::ptr::null())
    }

    fn new(thread_word: u32, head: *const Head) -> Self {
        let pid = current_pid();
        ThreadList {
            claim: u64::from(pid & PID_BITS) << 32 | u64::from(thread_word),
            head,
            pid,
        }
    }

    #[inline]
    fn head<'a>(self) -> Option<&'a Head> {
        // SAFETY: the head is null or this thread's own, in its thread control block, which outlives every copy of
        // this value because none leaves the thread.
        unsafe { self.head.as_ref() }
    }

    /// Names the node as pending: from here to [`finish`](Self::finish) the kernel looks at its word, too.
    #[inline]
    pub(crate) fn announce(self, node: &Node) {
        if let Some(head) = self.head() {
            step("robust.announce");
            head.pending.store(node.link(), Relaxed);
            ordered();
        }
    }

    /// Puts the node of a word just claimed at the front of the list.
    #[inline]
    pub(crate) fn link(self, node: &Node) {
        if let Some(head) = self.head() {
            ordered();
            let first = head.first.load(Relaxed);
            node.next.store(first, Relaxed);
            node.prev.store(head.first.as_ptr() as u64, Relaxed);
            // SAFETY: the first node is that of a word which this thread holds, hence mapped; or it is the head.
            unsafe { prev_beside(first) }.store(node.link(), Relaxed);
            ordered(); // complete before the kernel can see it
            step("robust.link");
            head.first.store(node.link(), Relaxed);
            ordered();
        }
    }

    /// Takes the node of a word about to be given up out of the list.
    #[inline]
    pub(crate) fn unlink(self, node: &Node) {
        if self.head().is_some() {
            let next = node.next.load(Relaxed);
            let prev = node.prev.load(Relaxed);
            // SAFETY: both neighbours are nodes of words which this thread holds, hence mapped; or the head.
            unsafe { prev_beside(next) }.store(prev, Relaxed);
            step("robust.unlink");
            // SAFETY: as above; the previous link is the head's or a node's `next`.
            unsafe { next_at(prev) }.store(next, Relaxed);
            ordered(); // out of the list before the word is given up
        }
    }

    /// Nothing is pending any more.
    #[inline]
    pub(crate) fn finish(self) {
        if let Some(head) = self.head() {
            ordered();
            step("robust.finish");
            head.pending.store(0, Relaxed);
        }
    }
}

impl Node {
    /// What the list holds of a node: the address of its `next`.
    #[inline]
    fn link(&self) -> u64 {
        self.next.as_ptr().expose_provenance() as u64
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

/// The link field at the address that a `prev` holds.
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
    unsafe { next_at(link - size_of::<u64>() as u64) }
}

/// A forked child is another thread of another process on an empty list: it must not claim words as its parent.
fn forget_after_fork() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| glibc::after_fork(forget));
}

extern "C" fn forget() {
    HERE.set(UNKNOWN);
}

const _: () = {
    assert!(size_of::<Node>() == 16 && offset_of!(Node, next) == 8);
    assert!(size_of::<Head>() == 24);
    assert!(LINK_OFFSET.is_multiple_of(8));
};
