//! A message from one process to another: the third of the nine programs, in Rust.
//!
//! `cargo run --example queue`

use multiproc::{Process, Queue};

fn worker(queue: Queue<String>) -> multiproc::Result<()> {
    let data = queue.get()?;
    println!("Worker received: {data}");
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let queue = Queue::new(64)?;
    let process = Process::spawn(worker, (queue.clone(),))?;
    queue.put("Hello from the main process!")?;
    process.join()
}
