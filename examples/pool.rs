//! One function on many items in several processes: the second of the nine programs, in Rust.
//!
//! `cargo run --example pool`

use multiproc::Pool;

fn square(x: u64) -> u64 {
    x * x
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let pool = Pool::new(4)?;
    let result = pool.map(square, [1, 2, 3, 4, 5])?;
    println!("{result:?}");
    Ok(())
}
