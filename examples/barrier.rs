//! Three processes wait for each other.
//!
//! The Python program that this follows prints `barrier.n_waiting + 1` after it has passed, which is a race: by then
//! nobody waits any more, and it says "Worker 1" three times. Here each worker prints the index that it was given, so
//! the last lines name three different ones.

use multiproc::{Barrier, Process};

fn worker(barrier: Barrier) -> multiproc::Result<()> {
    println!(
        "Worker {} is waiting at the barrier.",
        barrier.waiting() + 1
    );
    let turn = barrier.wait()?;
    println!("Worker {} has passed the barrier.", turn.index() + 1);
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let barrier = Barrier::new(3)?;
    let start = || Process::spawn(worker, (barrier.clone(),));
    let workers = [start()?, start()?, start()?];
    for worker in workers {
        worker.join()?;
    }
    println!("Main process has completed.");
    Ok(())
}
