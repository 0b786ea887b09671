//! A pipe between two processes: the fifth of the nine programs, in Rust.
//!
//! `cargo run --example pipe`

use multiproc::{Connection, Pipe, Process};

fn sender(connection: Connection<String, ()>) -> multiproc::Result<()> {
    Ok(connection.send("Hello from the sender!")?)
}

fn receiver(connection: Connection<(), String>) -> multiproc::Result<()> {
    let data = connection.recv()?;
    println!("Receiver received: {data}");
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let (parent, child) = Pipe::new()?;
    let sending = Process::spawn(sender, (parent,))?;
    let receiving = Process::spawn(receiver, (child,))?;
    sending.join()?;
    receiving.join()
}
