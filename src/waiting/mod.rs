//! Floor 5: waiting for the first of many things, whatever they are, and descriptors that say when to look.

mod any;
mod enrolment;
mod source;
#[allow(
    clippy::module_inception,
    reason = "the type of that name is what the room is for"
)]
mod watch;

pub use any::{try_wait_any, wait_any, wait_any_deadline, wait_any_timeout};
pub use source::Waitable;
pub(crate) use source::{Source, Spot, look_along};
pub use watch::Watch;
