//! A function in a process of its own.

use multiproc::Process;

fn my_function() {
    println!("Hello from a subprocess!");
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    Process::spawn(my_function, ())?.join()?;
    Ok(())
}
