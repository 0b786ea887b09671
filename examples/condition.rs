//! One process waits for a condition that another one notifies.
//!
//! The program in Python sleeps for two seconds and hopes that the worker waits by then; notified any earlier, it would
//! wait for ever. Here the data say whether it is time, so nothing is missed, in whatever order the processes come. The
//! notifier waits until the worker waits only for the lines to come in the order of the original.

use multiproc::{Condition, Process, plain};

plain! {
    #[derive(Clone, Copy)]
    #[repr(u8)]
    enum Stage { Begun, Waiting, Notified, Awake }
}

fn worker(stage: Condition<Stage>) -> multiproc::Result<()> {
    let mut guard = stage.lock()?;
    println!("Worker waiting for a condition.");
    *guard = Stage::Waiting;
    stage.notify_all();
    guard.wait_while(|stage| matches!(stage, Stage::Waiting))?;
    println!("Worker woke up!");
    *guard = Stage::Awake;
    stage.notify_all();
    Ok(())
}

fn notifier(stage: Condition<Stage>) -> multiproc::Result<()> {
    let mut guard = stage.lock()?;
    guard.wait_while(|stage| matches!(stage, Stage::Begun))?;
    println!("Notifier notifying the condition.");
    *guard = Stage::Notified;
    stage.notify_all();
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let stage = Condition::new(Stage::Begun)?;
    let worker = Process::spawn(worker, (stage.clone(),))?;
    Process::spawn(notifier, (stage.clone(),))?.join()?;

    let mut guard = stage.lock()?;
    guard.wait_while(|stage| !matches!(stage, Stage::Awake))?;
    println!("Main process notifying the condition.");
    stage.notify_all();
    drop(guard);
    worker.join()
}
