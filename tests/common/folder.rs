//! A folder of its own for the named objects of a test, on the shared-memory file system.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A fresh folder with mode 0700, removed with all it holds when dropped.
#[derive(Debug)]
pub struct Folder {
    inner: tempfile::TempDir,
}

impl Folder {
    /// Makes the folder and lets this process and its future children keep named objects in it.
    pub fn enter() -> Folder {
        let folder = Folder::new();
        // SAFETY: the suites that call this have one thread.
        unsafe { std::env::set_var("MULTIPROC_DIR", folder.path()) };
        folder
    }

    pub fn new() -> Folder {
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() {
            shared.to_owned()
        } else {
            std::env::temp_dir()
        };
        let inner = tempfile::Builder::new()
            .prefix("multiproc-test-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(base);
        Folder {
            inner: inner.expect("a temporary folder"),
        }
    }

    pub fn path(&self) -> &Path {
        self.inner.path()
    }

    /// What lies in the folder, sorted.
    pub fn entries(&self) -> Vec<PathBuf> {
        let read = std::fs::read_dir(self.path()).expect("a readable folder");
        let mut all: Vec<_> = read.flatten().map(|e| e.path()).collect();
        all.sort();
        all
    }

    /// Bytes that the file system holds for the files in the folder.
    pub fn allocated(&self) -> u64 {
        self.entries()
            .iter()
            .filter_map(|p| p.metadata().ok())
            .map(|m| m.blocks() * 512)
            .sum()
    }
}
