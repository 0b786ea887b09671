//! Floor 7: who runs. Functions in processes of their own, and what comes back from them.
//!
//! | module | what lives there |
//! |---|---|
//! | `spawn` | [`Process`]: a running function and the value it will return |
//! | `builder` | [`Builder`]: name, environment, streams, and the start itself |
//! | `entry` | [`Entry`]: which functions can run elsewhere, and how one is named across `exec` |
//! | `launch` | the block of memory that carries arguments there and the result back |
//! | `report`, `failure` | how an entry ended, as bytes and as [`Failure`] |
//! | `boot` | [`init`]: how a process finds out that it is a child, and its whole life |
//! | `child`, `family` | children that run, and what becomes of them when this process ends |
//! | `handed`, `arrival` | the shared objects among the arguments: kept by the parent until the child holds them |
//! | `current` | who the calling process is |
//! | `fork` | [`fork`](fork()): a closure in a copy of a single-threaded process |

mod arrival;
mod boot;
mod builder;
mod child;
mod current;
mod entry;
mod failure;
mod family;
mod fork;
mod handed;
mod launch;
mod report;
mod spawn;
mod stdio;

pub use boot::init;
pub(crate) use boot::{caught, text_of};
pub use builder::Builder;
pub use child::Child;
pub use current::{CurrentProcess, ParentProcess, current_process, parent_process};
pub use entry::Entry;
#[doc(hidden)]
pub use entry::{Fallible, Outcome, Plain};
pub use failure::{Failure, Panic};
pub use family::active_children;
pub(crate) use family::{Finish, finish_at_exit};
pub use fork::fork;
pub(crate) use report::{Report, code_of, kind_of};
pub use spawn::Process;
pub use stdio::Stdio;

pub use crate::sys::exit::ExitStatus;
