//! A producer process: reads files, and puts their records into the queue.

use multiproc::{Error, Queue};

use crate::clock::now_ns;
use crate::reader;
use crate::record::{Produced, Record, Task};

/// Reads the files of all tasks that it gets, until there are no more.
///
/// # Errors
///
/// When a queue fails; a file that cannot be read is counted and said, and no error.
pub fn produce(tasks: Queue<Task>, records: Queue<Record>) -> multiproc::Result<Produced> {
    let mut produced = Produced::default();
    let mut record = Record::default();
    while let Ok(task) = tasks.get_owned() {
        reader::read(&task, &mut record, &mut produced, |record| {
            record.put_ns = now_ns();
            records.put(&*record)
        })
        .map_err(Error::from)?;
    }
    Ok(produced)
}
