//! The splitter: a file becomes records, each a block of whole lines.

use std::io::{self, Read};

use crate::count::is_space;

/// A record has at most so many bytes, unless it is one longer line.
pub const BLOCK: usize = 64 << 10;

/// A line longer than this is cut behind a white space, so that no word is: the limit of what is kept in memory.
const LONGEST_LINE: usize = 256 << 20;

/// Bytes at the start of a file in which a NUL marks it as binary.
const PROBE: usize = 8 << 10;

/// Room behind a block that lets `read_to_end` find the end of a file without growing the buffer.
const SLACK: usize = 64;

/// Cuts what it reads into records: at the last newline within [`BLOCK`], or behind the first one beyond it.
#[derive(Debug)]
pub struct Splitter<R> {
    source: R,
    /// What was read but not handed out yet; fewer than two blocks.
    ahead: Vec<u8>,
    position: u64,
    ended: bool,
    block: usize,
    longest: usize,
}

impl<R: Read> Splitter<R> {
    /// Starts at the current position of `source`, and reads the first block ahead.
    ///
    /// # Errors
    ///
    /// What reading says.
    pub fn new(source: R) -> io::Result<Self> {
        Self::with_sizes(source, BLOCK, LONGEST_LINE)
    }

    fn with_sizes(source: R, block: usize, longest: usize) -> io::Result<Self> {
        let mut splitter = Splitter {
            source,
            ahead: Vec::new(),
            position: 0,
            ended: false,
            block,
            longest,
        };
        let mut first = Vec::new();
        splitter.fill(&mut first, block)?;
        splitter.ahead = first;
        Ok(splitter)
    }

    /// Whether the file starts as a binary file does: with a NUL in its first 8 KiB.
    pub fn is_binary(&self) -> bool {
        self.position == 0 && self.ahead[..self.ahead.len().min(PROBE)].contains(&0)
    }

    /// Replaces `record` by the next record and returns its position, or `None` at the end.
    ///
    /// # Errors
    ///
    /// What reading says; the records before were whole.
    pub fn next(&mut self, record: &mut Vec<u8>) -> io::Result<Option<u64>> {
        record.clear();
        std::mem::swap(record, &mut self.ahead);
        self.fill(record, self.block)?;
        if record.is_empty() {
            return Ok(None);
        }
        let end = match self.last_line_end(record) {
            Some(end) => end,
            None => self.one_long_line(record)?,
        };
        self.ahead.extend_from_slice(&record[end..]);
        record.truncate(end);
        let position = self.position;
        self.position += end as u64;
        Ok(Some(position))
    }

    /// Where the last line that fits a block ends, if one does.
    fn last_line_end(&self, record: &[u8]) -> Option<usize> {
        if self.ended && record.len() <= self.block {
            return Some(record.len());
        }
        let within = &record[..record.len().min(self.block)];
        within.iter().rposition(|&b| b == b'\n').map(|at| at + 1)
    }

    /// Reads on until the line that fills the block ends, and says where.
    #[cold]
    fn one_long_line(&mut self, record: &mut Vec<u8>) -> io::Result<usize> {
        let mut searched = self.block;
        loop {
            if let Some(at) = record[searched..].iter().position(|&b| b == b'\n') {
                return Ok(searched + at + 1);
            }
            if self.ended {
                return Ok(record.len());
            }
            searched = record.len();
            if searched >= self.longest {
                let space = record.iter().rposition(|&b| is_space(b));
                return Ok(space.map_or(searched, |at| at + 1));
            }
            self.fill(record, searched + self.block)?;
        }
    }

    /// Reads until `buffer` has `target` bytes or the source ends.
    fn fill(&mut self, buffer: &mut Vec<u8>, target: usize) -> io::Result<()> {
        if self.ended || buffer.len() >= target {
            return Ok(());
        }
        let missing = target - buffer.len();
        buffer.reserve(missing + SLACK);
        let got = (&mut self.source)
            .take(missing as u64)
            .read_to_end(buffer)?;
        self.ended = got < missing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_by(text: &[u8], block: usize, longest: usize) -> Vec<(u64, Vec<u8>)> {
        let mut splitter = Splitter::with_sizes(Trickle(text), block, longest).unwrap();
        let (mut record, mut all) = (Vec::new(), Vec::new());
        while let Some(position) = splitter.next(&mut record).unwrap() {
            all.push((position, record.clone()));
        }
        all
    }

    fn split(text: &str) -> Vec<String> {
        let records = split_by(text.as_bytes(), 8, 100);
        let mut expected = 0;
        for (position, record) in &records {
            assert_eq!(*position, expected, "records follow each other");
            expected += record.len() as u64;
        }
        let records = records
            .into_iter()
            .map(|(_, r)| String::from_utf8(r).unwrap());
        records.collect()
    }

    /// Reads three bytes at a time, as a slow pipe would.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(3);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn splits_by_table() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n", &["\n"]),
            ("no end", &["no end"]),
            ("12345678", &["12345678"]),
            ("1234567\n", &["1234567\n"]),
            ("12345678\n", &["12345678\n"]),
            ("123456789", &["123456789"]),
            ("a\nb\nc\nd\ne\n", &["a\nb\nc\nd\n", "e\n"]),
            (
                "a\nlonger than a block\nb\nc\n",
                &["a\n", "longer than a block\n", "b\nc\n"],
            ),
            ("a\nlonger than a block", &["a\n", "longer than a block"]),
            ("1234\n1234\n1234", &["1234\n", "1234\n", "1234"]),
            ("\n\n\n\n\n\n\n\n\n\n", &["\n\n\n\n\n\n\n\n", "\n\n"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_beyond_every_limit_is_cut_behind_a_space() {
        let text = [&b"word ".repeat(30)[..], b"\nend\n"].concat();
        let records = split_by(&text, 8, 100);
        assert!(records.iter().all(|(_, r)| r.len() <= 112));
        assert!(
            records
                .iter()
                .all(|(_, r)| r.ends_with(b" ") || r.ends_with(b"\n"))
        );
        assert_eq!(
            records
                .iter()
                .map(|(_, r)| &r[..])
                .collect::<Vec<_>>()
                .concat(),
            text
        );
    }

    #[test]
    fn every_random_text_is_cut_into_whole_lines_that_fit() {
        let mut seed = 7u64;
        for _ in 0..500 {
            let text: Vec<u8> = (0..100)
                .map(|_| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    if (seed >> 60) < 2 { b'\n' } else { b'x' }
                })
                .collect();
            let records = split_by(&text, 8, 1000);
            assert_eq!(
                records
                    .iter()
                    .map(|(_, r)| &r[..])
                    .collect::<Vec<_>>()
                    .concat(),
                text
            );
            for (i, (_, record)) in records.iter().enumerate() {
                let lines = record.split_inclusive(|&b| b == b'\n').count();
                assert!(record.len() <= 8 || lines == 1);
                assert!(record.ends_with(b"\n") || i == records.len() - 1);
            }
        }
    }

    #[test]
    fn a_nul_near_the_start_means_binary() {
        let near = [&[b'x'; PROBE - 1][..], b"\0"].concat();
        let far = [&[b'x'; PROBE][..], b"\0"].concat();
        assert!(Splitter::new(&near[..]).unwrap().is_binary());
        assert!(!Splitter::new(&far[..]).unwrap().is_binary());
        assert!(!Splitter::new(&b""[..]).unwrap().is_binary());
    }
}
