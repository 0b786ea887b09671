//! The recount: the same input in one process, by other code than the one it checks.
//!
//! It reads line by line, splits at white space and counts in a map of the standard library: slower, and plain enough to
//! be trusted. Only what the definition of the job says is shared: what white space is, and how long a listed word is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::count::is_space;
use crate::outcome::Outcome;
use crate::table::LONGEST_LISTED;
use crate::walk::Input;

/// Differences between words that are printed; the rest is only counted.
const SHOWN: usize = 20;

/// What the recount found.
#[derive(Debug, Default)]
struct Recount {
    files: u64,
    bytes: u64,
    words: u64,
    lines: u64,
    table: HashMap<Vec<u8>, u64>,
}

/// Counts again and says every difference in a line; none means that the outcome is right.
pub fn differences(outcome: &Outcome, repeat: u64) -> Vec<String> {
    let mut recount = Recount::default();
    for input in &outcome.fed.inputs {
        // What cannot be read was said before.
        let _ = recount.file(input);
    }
    let mut lines = Vec::new();
    for (what, counted, again) in [
        ("files", outcome.produced.files, recount.files),
        ("bytes", outcome.tally.bytes, recount.bytes * repeat),
        ("words", outcome.tally.words, recount.words * repeat),
        ("lines", outcome.tally.lines, recount.lines * repeat),
    ] {
        if counted != again {
            lines.push(format!("{what}: {counted} counted, {again} in the recount"));
        }
    }
    lines.extend(words(outcome, &recount, repeat));
    lines
}

/// The words whose counts differ.
fn words(outcome: &Outcome, recount: &Recount, repeat: u64) -> Vec<String> {
    let line = |word: &[u8], counted: u64, again: u64| {
        let word = word.escape_ascii();
        format!("word '{word}': {counted} counted, {again} in the recount")
    };
    let mut lines = Vec::new();
    for (word, counted) in outcome.table.iter() {
        let again = recount.table.get(word).map_or(0, |n| n * repeat);
        if counted != again {
            lines.push(line(word, counted, again));
        }
    }
    for (word, again) in &recount.table {
        if outcome.table.count(word) == 0 {
            lines.push(line(word, 0, again * repeat));
        }
    }
    lines.sort();
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("{more} more words differ"));
    }
    lines
}

impl Recount {
    fn file(&mut self, input: &Input) -> io::Result<()> {
        let Some(mut reader) = open(&input.path, input.any)? else {
            return Ok(());
        };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.line(&line);
            line.clear();
        }
        self.files += 1;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        self.bytes += line.len() as u64;
        self.lines += u64::from(line.ends_with(b"\n"));
        for word in line.split(|&b| is_space(b)) {
            if !word.iter().any(u8::is_ascii_graphic) {
                continue;
            }
            self.words += 1;
            if word.len() <= LONGEST_LISTED {
                match self.table.get_mut(word) {
                    Some(count) => *count += 1,
                    None => drop(self.table.insert(word.to_vec(), 1)),
                }
            }
        }
    }
}

/// The file from its start, unless it is binary and that matters.
fn open(path: &Path, any: bool) -> io::Result<Option<impl BufRead>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(8 << 10).read_to_end(&mut head)?;
    let binary = !any && head.contains(&0);
    Ok((!binary).then(|| BufReader::new(io::Cursor::new(head).chain(file))))
}
