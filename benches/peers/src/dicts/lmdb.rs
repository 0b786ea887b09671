//! LMDB by way of `heed`: a tree in a file in memory, each access a transaction of its own, nothing written to a disk.

use std::fs;
use std::path::PathBuf;

use heed::types::{Str, U64};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, byteorder};

use super::dict::{Dict, Entries};
use crate::harness::ours::fresh_name;

/// The directory of the file.
#[derive(Debug)]
pub struct Lmdb(PathBuf);

/// The file, as one worker has mapped it.
#[derive(Debug)]
pub struct LmdbEntries {
    env: &'static Env,
    entries: Database<'static, Str, U64<byteorder::NativeEndian>>,
}

impl Dict for Lmdb {
    const NAME: &'static str = "LMDB (heed)";

    type Entries<'a> = LmdbEntries;

    fn new() -> Self {
        let path = PathBuf::from(format!("/dev/shm/lmdb-{}", fresh_name()));
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn open(&self) -> LmdbEntries {
        let mut options = EnvOpenOptions::new();
        // SAFETY: nobody wants the file after the run, so it need not be whole after a crash of the machine; only
        // workers of this run open it, each of them once, and always by way of its lock file.
        let env = unsafe {
            options
                .map_size(16 << 20)
                .flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP)
                .open(&self.0)
        };
        // The worker has it until its end.
        let env = Box::leak(Box::new(env.expect("a database")));
        let transaction = env.write_txn().expect("a transaction");
        let create = env.create_databases_and_commit(transaction, |opener, transaction| {
            let entries = opener.create_database(transaction, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(entries))
        });
        let entries = create.expect("the entries").unwrap_commit();
        LmdbEntries { env, entries }
    }
}

impl Entries for LmdbEntries {
    #[inline]
    fn get(&mut self, key: &str) -> Option<u64> {
        let transaction = self.env.read_txn().expect("a transaction");
        self.entries.get(&transaction, key).expect("a lookup")
    }

    #[inline]
    fn set(&mut self, key: &str, value: u64) {
        let mut transaction = self.env.write_txn().expect("a transaction");
        let put = self.entries.put(&mut transaction, key, &value);
        put.expect("an entry");
        transaction.commit().expect("a commit");
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, which empties the directory when it starts.
        let _ = fs::remove_dir_all(&self.0);
    }
}
