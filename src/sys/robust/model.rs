//! The robust list as a model sees it: who holds which words, and what the kernel does when a thread dies.
//!
//! [`die`] follows `exit_robust_list` and `handle_futex_death` of the kernel, race for race.

use super::{OWNER_DIED, THREAD, WAITERS};
use crate::sys::atomic::{AtomicU64, Ordering::SeqCst};
use crate::sys::futex;
use crate::sys::step::step;
use std::cell::{Cell, RefCell};

/// Stands for the links; as large as a byte, so that its address names its lock.
#[derive(Debug, Default)]
pub(crate) struct Node(u8);

#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadList;

loom::thread_local! {
    static CLAIM: Cell<u64> = Cell::new(0);
    static PENDING: Cell<usize> = Cell::new(0);
    static LINKED: RefCell<Vec<usize>> = RefCell::new(Vec::new());
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Makes the calling thread of the model the thread `tid` of a process of its own.
pub(crate) fn enter(tid: u32) {
    CLAIM.with(|claim| claim.set(u64::from(tid) << 32 | u64::from(tid)));
}

impl ThreadList {
    pub(crate) fn here() -> Self {
        ThreadList
    }

    pub(crate) fn arrived() -> Self {
        ThreadList
    }

    pub(crate) fn claim(self) -> u64 {
        let claim = CLAIM.with(Cell::get);
        assert_ne!(claim, 0, "every thread of a model enters first");
        claim
    }

    pub(crate) fn begin(self, node: &Node) -> bool {
        let idle = PENDING.with(Cell::get) == 0;
        if idle {
            announce(node);
        }
        idle
    }

    pub(crate) fn begin_behind(node: &Node) -> Self {
        settle();
        announce(node);
        ThreadList
    }

    pub(crate) fn is_pending(self, node: &Node) -> bool {
        PENDING.with(Cell::get) == address(node)
    }

    pub(crate) fn begin_release(self, node: &Node) {
        settle();
        announce(node);
        LINKED.with(|linked| linked.borrow_mut().retain(|&at| at != address(node)));
    }

    pub(crate) fn finish_held(self, node: &Node) {
        if LINKED.with(|linked| linked.borrow().contains(&address(node))) {
            self.finish();
        }
    }

    pub(crate) fn finish(self) {
        step("robust.finish");
        PENDING.with(|pending| pending.set(0));
    }
}

impl Node {
    pub(crate) fn reset(&self) {
        step("robust.reset");
    }
}

fn announce(node: &Node) {
    step("robust.announce");
    PENDING.with(|pending| pending.set(address(node)));
}

fn settle() {
    let pending = PENDING.with(Cell::get);
    if pending != 0 {
        step("robust.link");
        LINKED.with(|linked| linked.borrow_mut().push(pending));
    }
}

/// Ends the calling thread as the kernel does, as far as the lock of `node` and `word` is concerned.
pub(crate) fn die(node: &Node, word: &AtomicU64) {
    let pending = PENDING.with(Cell::get) == address(node);
    let linked = LINKED.with(|linked| linked.borrow().contains(&address(node)));
    let tid = CLAIM.with(Cell::get) as u32;
    if linked && !pending {
        futex_death(word, tid, false);
    }
    if pending {
        futex_death(word, tid, true);
    }
}

fn futex_death(word: &AtomicU64, tid: u32, pending: bool) {
    let mut seen = word.load(SeqCst);
    loop {
        let low = seen as u32;
        if pending && low & THREAD == 0 {
            futex::wake_low(word, 1);
            return;
        }
        if low & THREAD != tid {
            return;
        }
        let marked = low & WAITERS | OWNER_DIED;
        let next = seen >> 32 << 32 | u64::from(marked);
        match word.compare_exchange(seen, next, SeqCst, SeqCst) {
            Ok(_) if low & WAITERS != 0 => {
                futex::wake_low(word, 1);
                return;
            }
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}
