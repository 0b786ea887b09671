//! Floor 3: memory that many processes change and read without a lock: blocks, and cells that lead to them.
//!
//! | module | what lives there |
//! |---|---|
//! | `word` | the word of a block, and handles |
//! | `hazard` | what a thread reads at the moment |
//! | `protocol` | how a cell comes to lead to another block: what the models run |
//! | `alone` | the same by stores, for who alone may take a step: likewise |
//! | `ledger` | how several do at one instant: likewise |
//! | `geometry`, `room` | where everything lies; the words of a heap in a segment, which grows |
//! | `stock`, `threads` | what a process knows: free blocks, retired ones; which rows its threads have |
//! | `core`, `commit`, `repair` | a heap as one process has it; a transaction as its writer has it; what is done about the dead |

mod alone;
#[cfg(not(loom))]
mod commit;
#[cfg(not(loom))]
mod core;
#[cfg(not(loom))]
mod geometry;
mod hazard;
mod ledger;
#[cfg(all(test, loom))]
mod model;
mod protocol;
#[cfg(not(loom))]
mod repair;
#[cfg(not(loom))]
mod room;
#[cfg(not(loom))]
mod stock;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(not(loom))]
mod threads;
mod word;

#[cfg(not(loom))]
pub(crate) use self::commit::{Commit, Target};
#[cfg(not(loom))]
pub(crate) use self::core::{Fresh, Heap, Reading};
#[cfg(not(loom))]
pub(crate) use self::repair::repair as repair_heap;
#[cfg(not(loom))]
pub(crate) use self::room::{HeapHead, ROW, objects_in};
#[cfg(not(loom))]
pub(crate) use self::word::{Handle, VACATED, is_tied};
