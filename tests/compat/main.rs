//! Feature `compat`: this crate in `shared_memory`'s memory, and why that crate and `raw_sync` are not its engine.

mod adopted;
mod events;
mod reasons;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use multiproc::compat::shared_memory::{Shmem, ShmemConf};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

const MEBIBYTE: usize = 1 << 20;

/// New memory under a name that no other test has.
fn new(len: usize) -> Shmem {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Relaxed);
    let name = format!("/multiproc-compat-{}-{count}", std::process::id());
    ShmemConf::new().os_id(name).size(len).create().unwrap()
}

/// The memory called `name`, as another process has it.
fn open(name: &str) -> Shmem {
    ShmemConf::new().os_id(name).open().unwrap()
}

fn name_of(shmem: &Shmem) -> String {
    shmem.get_os_id().to_owned()
}
