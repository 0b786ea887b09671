//! What travels between the processes of a pipeline.

use multiproc::Bytes;

multiproc::message! {
    /// A file to read, from the main process to a producer.
    #[derive(Debug)]
    pub struct Task {
        /// The file's number, in the order of the walk.
        pub file: u32,
        /// Whether this is the first time; what is wrong with a file is said once.
        pub first: bool,
        /// Whether the file is counted even when it looks binary.
        pub any: bool,
        /// The path, or `-` for standard input.
        pub path: Bytes,
    }

    /// A block of whole lines, from a producer to a worker.
    #[derive(Debug, Default)]
    pub struct Record {
        /// The number of the file that it comes from.
        pub file: u32,
        /// The block's place in that file, in bytes from the start.
        pub position: u64,
        /// When it was put, by the clock that all processes share.
        pub put_ns: u64,
        /// The lines.
        pub block: Bytes,
    }

    /// Totals of some records.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Tally {
        /// Records counted.
        pub records: u64,
        /// Bytes in them.
        pub bytes: u64,
        /// Words in them.
        pub words: u64,
        /// Newlines in them.
        pub lines: u64,
    }

    /// A word of a table: its place in the table's text, and how often it was seen.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Word {
        /// The word's hash, so that merging does not compute it again.
        pub hash: u64,
        /// How often it was seen.
        pub count: u64,
        /// Where it starts in the text.
        pub start: u32,
        /// How many bytes it has.
        pub len: u32,
    }

    /// A word table as it is sent.
    #[derive(Debug, Default)]
    pub struct Words {
        /// The different words.
        pub entries: Vec<Word>,
        /// All words, one after the other.
        pub text: Bytes,
    }

    /// What a worker counted in the records that it names, from the worker to the main process.
    #[derive(Debug, Default)]
    pub struct Partial {
        /// The worker's place in the crew; a worker started for a killed one takes over its place.
        pub seat: u32,
        /// The records covered, by message id.
        pub ids: Vec<u64>,
        /// For each of them, the nanoseconds from put to take.
        pub waits_ns: Vec<u64>,
        /// Their totals.
        pub tally: Tally,
        /// Their words.
        pub words: Words,
        /// The worker's time since its last partial.
        pub wall_ns: u64,
        /// How much of it was spent in queue calls.
        pub queue_ns: u64,
    }

    /// What a producer did, as the result of its process.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Produced {
        /// Records put.
        pub records: u64,
        /// Files read.
        pub files: u64,
        /// Files skipped because they look binary.
        pub binary: u64,
        /// Files that could not be read.
        pub failed: u64,
    }
}

impl Tally {
    /// Adds another part of the input.
    pub fn add(&mut self, part: Tally) {
        self.records += part.records;
        self.bytes += part.bytes;
        self.words += part.words;
        self.lines += part.lines;
    }
}

impl Produced {
    /// Adds what another producer did.
    pub fn add(&mut self, part: Produced) {
        self.records += part.records;
        self.files += part.files;
        self.binary += part.binary;
        self.failed += part.failed;
    }
}
