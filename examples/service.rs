//! An object that stays in one process, and is called by others.
//!
//! `cargo run --example service`

use multiproc::{Manager, Process, Proxy};

multiproc::service! {
    /// A journal that numbers what is written into it.
    pub trait Journal {
        /// Writes a line, and returns its number.
        fn write(&mut self, line: String) -> u64;
        /// The lines that begin with this text.
        fn find(&self, beginning: String) -> Vec<String>;
    }
}

/// Holds what no message can: an open file.
struct Pages {
    file: std::fs::File,
    lines: Vec<String>,
}

impl Journal for Pages {
    fn write(&mut self, line: String) -> u64 {
        use std::io::Write;
        writeln!(self.file, "{line}").expect("a null device takes everything");
        self.lines.push(line);
        self.lines.len() as u64
    }

    fn find(&self, beginning: String) -> Vec<String> {
        let found = self
            .lines
            .iter()
            .filter(|line| line.starts_with(&beginning));
        found.cloned().collect()
    }
}

fn work(journal: Proxy<dyn Journal>, name: String) -> multiproc::Result<()> {
    journal.write(format!("{name} begins"))?;
    journal.write(format!("{name} ends"))?;
    Ok(())
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let manager = Manager::new()?;
    let file = std::fs::File::create("/dev/null").expect("there is a null device");
    let pages = Box::new(Pages {
        file,
        lines: Vec::new(),
    });
    let served = manager.serve::<dyn Journal>("journal", pages)?;

    let journal = manager.proxy::<dyn Journal>("journal")?;
    let workers = ["Ada", "Ben"].map(|name| Process::spawn(work, (journal.clone(), name.into())));
    for worker in workers {
        worker?.join()?;
    }
    println!("{:?}", journal.find("Ada".into())?);
    println!("{:?}", journal.find("Ben".into())?);
    println!("The next line has number {}.", journal.write("end".into())?);
    drop(served);
    println!("{}", journal.find("Ada".into()).unwrap_err());
    Ok(())
}
