//! Five processes add one to a number that a lock guards.

use multiproc::{Lock, Process};

fn update_shared_data(data: Lock<i32>) -> multiproc::Result<()> {
    *data.lock()? += 1;
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let data = Lock::new(0)?;
    let processes = (0..5)
        .map(|_| Process::spawn(update_shared_data, (data.clone(),)))
        .collect::<multiproc::Result<Vec<_>>>()?;
    for process in processes {
        process.join()?;
    }
    println!("Final value: {}", data.lock()?);
    Ok(())
}
