//! The counter: lines, words and bytes of a block, exactly as `LC_ALL=C wc` counts them.
//!
//! A word is a longest run of bytes that are not white space (space, `\t \n \v \f \r`), if it has at least one
//! printable ASCII byte: in the C locale `wc` neither starts a word at any other byte nor ends one there.

use crate::record::Tally;
use crate::table::{LONGEST_LISTED, SPANS, Span, WordTable, hash};

/// What has been counted so far.
#[derive(Debug)]
pub struct Counter {
    pub tally: Tally,
    pub table: WordTable,
}

impl Counter {
    pub fn new() -> Self {
        Counter {
            tally: Tally::default(),
            table: WordTable::new(),
        }
    }

    /// Counts one record. A block ends where a line ends, so no word continues in the next one.
    pub fn count(&mut self, block: &[u8]) {
        self.tally.records += 1;
        self.tally.bytes += block.len() as u64;
        let mut scan = Scan::new(block);
        let (chunks, rest) = block.as_chunks::<CHUNK>();
        for chunk in chunks {
            self.chunk(&mut scan, chunk);
        }
        let mut last = [b' '; CHUNK];
        last[..rest.len()].copy_from_slice(rest);
        self.chunk(&mut scan, &last);
        if scan.open {
            self.word(&mut scan, block.len());
        }
        self.table.add_all(&scan.spans[..scan.held]);
    }

    /// Counts the lines in this chunk and the words that end in it.
    #[inline]
    fn chunk(&mut self, scan: &mut Scan<'_>, chunk: &[u8; CHUNK]) {
        self.tally.lines += u64::from(mask(chunk, |b| b == b'\n').count_ones());
        let ink = !mask(chunk, is_space);
        // A bit for each byte where a word starts or has just ended.
        let mut edges = ink ^ (ink << 1 | u64::from(scan.open));
        while edges != 0 {
            let at = scan.base + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            if scan.open {
                self.word(scan, at);
            } else {
                scan.start = at;
            }
            scan.open = !scan.open;
        }
        scan.base += CHUNK;
    }

    /// Counts the open word, which ends before `end`.
    #[inline]
    fn word(&mut self, scan: &mut Scan<'_>, end: usize) {
        let word = &scan.block[scan.start..end];
        if !word.iter().any(u8::is_ascii_graphic) {
            return;
        }
        self.tally.words += 1;
        if word.len() > LONGEST_LISTED {
            return;
        }
        if scan.held == SPANS {
            self.table.add_all(&scan.spans);
            scan.held = 0;
        }
        scan.spans[scan.held] = Span {
            hash: hash(word),
            word,
            count: 1,
        };
        scan.held += 1;
    }
}

/// Where the scan of a block stands.
struct Scan<'a> {
    block: &'a [u8],
    /// Where the chunk at hand starts.
    base: usize,
    /// Whether a word is open, and where it started.
    open: bool,
    start: usize,
    /// Words found and not counted yet.
    spans: [Span<'a>; SPANS],
    held: usize,
}

impl<'a> Scan<'a> {
    fn new(block: &'a [u8]) -> Self {
        Scan {
            block,
            base: 0,
            open: false,
            start: 0,
            spans: [Span::default(); SPANS],
            held: 0,
        }
    }
}

/// Bytes classified at once: one bit each in a `u64`.
const CHUNK: usize = 64;

/// White space of the C locale.
#[inline]
pub fn is_space(byte: u8) -> bool {
    byte == b' ' || byte.wrapping_sub(b'\t') < 5
}

/// One bit for each byte of which `test` holds, the first byte in the lowest bit.
#[inline(always)]
fn mask(chunk: &[u8; CHUNK], test: impl Fn(u8) -> bool) -> u64 {
    // First all 64 tests, which the compiler does sixteen or more at a time; then the flags are gathered eight by
    // eight: the multiplication moves the flag of byte i to bit 56 + i, and no two products meet.
    let flags = chunk.map(|byte| u8::from(test(byte)));
    let (eights, _) = flags.as_chunks::<8>();
    let mut mask = 0;
    for (i, eight) in eights.iter().enumerate() {
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= gathered << (8 * i);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn ours(block: &[u8]) -> [u64; 3] {
        let mut counter = Counter::new();
        counter.count(block);
        let listed: u64 = counter.table.iter().map(|(_, n)| n).sum();
        assert_eq!(listed, counter.tally.words, "every word is in the table");
        [
            counter.tally.lines,
            counter.tally.words,
            counter.tally.bytes,
        ]
    }

    /// What `wc` of this machine says, if it is the GNU one.
    fn wc(block: &[u8]) -> Option<[u64; 3]> {
        let mut child = Command::new("wc")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(block).ok()?;
        let output = String::from_utf8(child.wait_with_output().ok()?.stdout).ok()?;
        let mut numbers = output.split_whitespace().map(|n| n.parse().unwrap());
        Some([numbers.next()?, numbers.next()?, numbers.next()?])
    }

    #[test]
    fn counts_by_table() {
        let cases: &[(&[u8], [u64; 3])] = &[
            (b"", [0, 0, 0]),
            (b"\n", [1, 0, 1]),
            (b"one", [0, 1, 3]),
            (b"one\ntwo\n", [2, 2, 8]),
            (b"  a\tb\x0bc\x0cd\re \n", [1, 5, 13]),
            (b"caf\xc3\xa9 \xff\xfe a\x01b \x01 \x7f", [0, 2, 16]),
            (b"nul\0byte", [0, 1, 8]),
            (b"\xa0 nbsp\xa0one", [0, 1, 10]),
        ];
        for (block, expected) in cases {
            assert_eq!(
                ours(block),
                *expected,
                "{:?}",
                block.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn words_may_cross_chunks_and_end_at_the_end() {
        for len in 1..200 {
            let word = vec![b'w'; len];
            assert_eq!(ours(&word), [0, 1, len as u64]);
            let two = [&word[..], b" ", &word[..], b"\n"].concat();
            assert_eq!(ours(&two), [1, 2, 2 * len as u64 + 2]);
        }
    }

    #[test]
    fn long_words_are_counted_but_not_listed() {
        let mut counter = Counter::new();
        counter.count(&vec![b'w'; LONGEST_LISTED + 1]);
        assert_eq!((counter.tally.words, counter.table.len()), (1, 0));
    }

    #[test]
    fn agrees_with_wc_on_random_bytes() {
        // Some `wc` counts unprintable bytes as words, others do not: compare where this one is like the reference.
        let unprintable = wc(b"\x01 \xff").is_some_and(|[_, words, _]| words == 0);
        let alphabets: [&[u8]; 3] = [
            b"ab \n",
            b" \t\n\x0b\x0c\rxyz!~",
            &[0, 1, b'a', b' ', 0x7f, 0xa0, 0xff],
        ];
        let mut seed = 1u64;
        for round in 0..60 {
            let alphabet = alphabets[round % if unprintable { 3 } else { 2 }];
            let block: Vec<u8> = (0..round * 13)
                .map(|_| {
                    seed = seed
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    alphabet[(seed >> 33) as usize % alphabet.len()]
                })
                .collect();
            if let Some(expected) = wc(&block) {
                assert_eq!(ours(&block), expected, "{}", block.escape_ascii());
            }
        }
    }
}
