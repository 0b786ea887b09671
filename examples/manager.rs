//! Five processes change a list in a manager, each at a place of its own; the original: Python's `multiprocessing.Manager`.

use multiproc::{List, Manager, Process};

fn update_shared_list(shared_list: List<u64>, index: usize) -> multiproc::Result<()> {
    shared_list.set(index, (index * index) as u64)?;
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let manager = Manager::new()?;
    let my_list = manager.list_from("my_list", [0_u64, 0, 0, 0, 0])?;
    let processes = (0..5)
        .map(|i| Process::spawn(update_shared_list, (my_list.clone(), i)))
        .collect::<multiproc::Result<Vec<_>>>()?;
    for process in processes {
        process.join()?;
    }
    println!("Updated shared list: {:?}", my_list.snapshot()?);
    Ok(())
}
