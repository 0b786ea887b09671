//! Many processes count together, without a lock: `cargo run --example counter -- [PROCESSES] [COUNTS]`.

use multiproc::{Process, Value};

fn count(total: Value<u64>, times: u64) {
    for _ in 0..times {
        total.fetch_add(1);
    }
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let mut numbers = std::env::args().skip(1).map_while(|arg| arg.parse().ok());
    let processes: u64 = numbers.next().unwrap_or(4);
    let times: u64 = numbers.next().unwrap_or(100_000);

    let total = Value::new(0)?;
    let counting = (0..processes)
        .map(|_| Process::spawn(count, (total.clone(), times)))
        .collect::<multiproc::Result<Vec<_>>>()?;
    for process in counting {
        process.join()?;
    }
    println!("{processes} processes x {times} = {total}");
    assert_eq!(total.load(), processes * times);
    Ok(())
}
