//! Holding words on the C library's list, and the identity under which this thread claims them.
//!
//! A word that is held alone is not linked at all: it stays *pending* from before its claim until after its release,
//! for the kernel treats a pending word of a dying thread as one on its list. So taking and giving up a lock costs one
//! store each beside the exchange of the word. Only when the thread takes a second word, the first is linked.
//!
//! Should a robust mutex of the C library be locked meanwhile, it displaces the pending word. That word then is as one
//! beyond the kernel's limit of 2,048: its holder's death is found by asking, not told by the kernel.

use super::{LINK_OFFSET, PID_BITS, UNLISTED, glibc};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};
use crate::sys::identity::current_pid;
use crate::sys::step::step;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::{Once, OnceLock};

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

/// What the calling thread knows of itself, at fixed places: each is one load away.
struct Here {
    /// What this thread puts into the words that it claims: {pid:20 | thread word:32}. 0 before it first locks.
    claim: Cell<u64>,
    /// Of a thread that has not locked yet, [`NOBODYS`].
    head: Cell<*const Head>,
}

/// The head of who has none: its pending word, which is no address, sends threads to the slow path. Never written.
static NOBODYS: Head = Head {
    pending: AtomicU64::new(u64::MAX),
    ..Head::new()
};

thread_local! {
    static HERE: Here = const {
        Here {
            claim: Cell::new(0),
            head: Cell::new(&raw const NOBODYS),
        }
    };
    static SPARE: Spare = const {
        Spare { prev: AtomicU64::new(0), head: Head::new() }
    };
}

/// The calling thread's list; it never leaves its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadList(PhantomData<*const ()>);

impl ThreadList {
    /// The calling thread's, as far as it is known.
    #[inline]
    pub(crate) fn here() -> Self {
        ThreadList(PhantomData)
    }

    /// The calling thread's, which gets one now if it has none.
    pub(crate) fn arrived() -> Self {
        if HERE.with(|here| here.claim.get() == 0) {
            arrive();
        }
        ThreadList(PhantomData)
    }

    /// The low 52 bits of every word that this thread claims: its thread word, and above it 20 bits of its pid.
    #[inline]
    pub(crate) fn claim(self) -> u64 {
        HERE.with(|here| here.claim.get())
    }

    /// Names the node as pending, if nothing is: from here to [`finish`](Self::finish) the kernel looks at its word.
    ///
    /// `false`: the thread holds another word, or has never locked; see [`begin_behind`](Self::begin_behind).
    #[inline]
    pub(crate) fn begin(self, node: &Node) -> bool {
        HERE.with(|here| {
            let idle = here.pending() == 0;
            if idle {
                here.announce(node);
            }
            idle
        })
    }

    /// Links what is pending and names the node in its place. Returns the thread's list, known from here on.
    #[cold]
    pub(crate) fn begin_behind(node: &Node) -> Self {
        let list = Self::arrived();
        HERE.with(|here| {
            here.settle();
            here.announce(node);
        });
        list
    }

    /// Whether the node is pending, and its word thereby this thread's.
    #[inline]
    pub(crate) fn is_pending(self, node: &Node) -> bool {
        HERE.with(|here| here.pending() == node.link())
    }

    /// Makes the node of a word that this thread holds pending again, and takes it out of the list.
    #[cold]
    pub(crate) fn begin_release(self, node: &Node) {
        HERE.with(|here| {
            here.settle();
            here.announce(node);
        });
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
        HERE.with(|here| here.set_pending(0));
    }

    /// Links what is pending, without naming anything in its place.
    pub(super) fn settle(self) {
        HERE.with(Here::settle);
    }
}

impl Here {
    #[inline]
    fn announce(&self, node: &Node) {
        step("robust.announce");
        self.set_pending(node.link());
        ordered();
    }

    #[inline]
    fn pending(&self) -> u64 {
        self.head().pending.load(Relaxed) // written by this thread only
    }

    #[inline]
    fn set_pending(&self, link: u64) {
        self.head().pending.store(link, Relaxed);
    }

    /// Puts the word that is pending, which this thread holds, at the front of the list.
    fn settle(&self) {
        let pending = self.pending();
        if pending == 0 {
            return;
        }
        let head = self.head();
        let first = head.first.load(Relaxed);
        // SAFETY: only words that this thread holds stay pending between its calls, hence the node is mapped.
        let (prev, next) = unsafe { (prev_beside(pending), next_at(pending)) };
        next.store(first, Relaxed);
        prev.store(head.link(), Relaxed);
        // SAFETY: the first node is that of a word which this thread holds, hence mapped; or it is the head.
        unsafe { prev_beside(first) }.store(pending, Relaxed);
        ordered(); // complete before the kernel can see it
        step("robust.link");
        head.first.store(pending, Relaxed);
        ordered(); // on the list before it is not pending any more
    }

    #[inline]
    fn head<'a>(&self) -> &'a Head {
        // SAFETY: the static that belongs to nobody; or a head in the thread's own control block or among its thread
        // locals, which outlives every use because none leaves the thread.
        unsafe { &*self.head.get() }
    }

    /// Makes `head` this thread's, with nothing pending, and `thread_word` what it puts into words.
    fn be(&self, head: &Head, thread_word: u32) {
        self.head.set(head);
        self.set_pending(0);
        let pid = u64::from(current_pid() & PID_BITS);
        self.claim.set(pid << 32 | u64::from(thread_word));
    }
}

/// Finds the calling thread's head and identity.
#[cold]
fn arrive() {
    static UNDERSTOOD: OnceLock<bool> = OnceLock::new();
    forget_after_fork();
    HERE.with(|here| {
        if let Some(head) = glibc::registered() {
            here.be(head, glibc::thread_id());
            if *UNDERSTOOD.get_or_init(|| glibc::self_test(head)) {
                return;
            }
        }
        SPARE.with(|spare| {
            spare.head.first.store(spare.head.link(), Relaxed);
            here.be(&spare.head, glibc::thread_id() | UNLISTED);
        });
    });
}

impl Head {
    const fn new() -> Self {
        Head {
            first: AtomicU64::new(0),
            futex_offset: -(LINK_OFFSET as i64),
            pending: AtomicU64::new(0),
        }
    }

    /// What stands at the end of the list: the head's own address.
    pub(super) fn link(&self) -> u64 {
        self.first.as_ptr().expose_provenance() as u64
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
    HERE.with(|here| {
        if here.claim.replace(0) != 0 {
            here.set_pending(0); // was the parent's; the C library itself empties the list
            here.head.set(&raw const NOBODYS);
        }
    });
}

const _: () = {
    assert!(size_of::<Node>() == 16 && offset_of!(Node, next) == 8);
    assert!(size_of::<Head>() == 24 && offset_of!(Spare, head) == 8);
    assert!(LINK_OFFSET.is_multiple_of(8));
};
