//! Floor 8: objects that cannot be archived. They stay in one process, and others call them.
//!
//! A served object is a row of the manager's directory whose cell says where to connect: at the *door*, a queue without a name
//! of which the serving process is the only consumer. Who calls makes a pipe and puts its far end there; the server takes it
//! up in a thread of its own, says so, and from then on each knows of the other's death by the pipe. Nothing here has a name
//! in the file system, so nothing is left behind, whoever is killed.
//!
//! | dies | the others see |
//! |---|---|
//! | the server, before it took a pipe up | the door has no consumer any more: who connects looks now and then |
//! | the server, later | the pipe's other end is dead, at once or within a slice |
//! | who calls, at any instant | the pipe's other end is dead: the thread ends; the call was run or not |
//! | the server, while it says where the door is | the old door, which has no consumer, or the new one |
//!
//! | module | what lives there |
//! |---|---|
//! | `macros` | [`service!`](crate::service) |
//! | `wire` | what is said through the pipes, and what the directory's cell holds |
//! | `serve`, `server` | [`Served`] and the verbs of the manager; the threads behind it |
//! | `counter` | where calls come to the object: one at a time, or together |
//! | `proxy` | [`Proxy`] |
//! | `line`, `connect` | one call, and the connections that wait for the next; how there comes to be one |
//! | `error` | [`CallError`] |

mod connect;
mod counter;
mod error;
mod line;
mod macros;
mod proxy;
mod serve;
mod server;
mod wire;

pub use error::CallError;
pub use line::{Line, out_of_turn};
pub use proxy::Proxy;
pub use serve::Served;

use crate::message::{Message, Shape, segment_fingerprint};
use std::fmt::Debug;
use wire::PostOf;

/// What a served object can be asked, and answers: `dyn Trait`, for a trait declared by [`service!`](crate::service).
///
/// Declare the trait there; there is no other way to implement this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "not `dyn Trait` for a trait declared inside `service!`",
    note = "declare the trait inside `multiproc::service! {{ .. }}`, and name it with `dyn`"
)]
pub trait Service: 'static {
    /// The object with which it is served one call at a time: `dyn Trait + Send`.
    type Object: ?Sized + Send + 'static;
    /// The methods as a proxy has them: the same names and arguments, and a `Result` of what they return.
    type Calls: From<Line<Self>> + AsRef<Line<Self>>;
    #[doc(hidden)]
    type Request: Message + Debug;
    #[doc(hidden)]
    type Reply: Message + Debug;
    #[doc(hidden)]
    const NAME: &'static str;
    /// Stands for the names of trait and methods, and the types of what they take and return.
    #[doc(hidden)]
    const FINGERPRINT: u64 = Shape::new("service")
        .name(Self::NAME)
        .with(Self::Request::FINGERPRINT)
        .with(Self::Reply::FINGERPRINT)
        .finish();

    #[doc(hidden)]
    fn run(object: &mut Self::Object, request: Self::Request) -> Self::Reply;

    #[doc(hidden)]
    fn type_name() -> String {
        format!("dyn {}", Self::NAME)
    }
}

/// A [`Service`] of which all methods take `&self`, so that one object can be called by many at the same time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served to several callers at the same time",
    label = "not a service whose methods all take `&self`",
    note = "`serve` serves any service, to one caller at a time"
)]
pub trait ConcurrentService: Service {
    /// The object with which it is served: `dyn Trait + Send + Sync`.
    type Shared: ?Sized + Send + Sync + 'static;

    #[doc(hidden)]
    fn run_shared(object: &Self::Shared, request: Self::Request) -> Self::Reply;
}

/// The identity of a service in the directory of a manager, which also stands for the form of what its row holds.
fn directory_fingerprint<S: Service + ?Sized>() -> u64 {
    Shape::new("served")
        .with(S::FINGERPRINT)
        .with(segment_fingerprint::<PostOf<S>>())
        .finish()
}
