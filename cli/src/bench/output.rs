//! Where a report goes: a file that can be written is made sure of before anything is measured.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is to be written at the end. What was in it stays until then, and a new one goes if nothing comes.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl Output {
    /// Opens it, or makes it.
    ///
    /// # Errors
    ///
    /// When the system refuses; the text has the path.
    pub fn at(path: &Path) -> Result<Self, String> {
        let mut options = OpenOptions::new();
        options.write(true);
        let (file, is_new) = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create_new(true).open(path), true)
            }
            opened => (opened, false),
        };
        Ok(Output {
            file: file.map_err(|error| failed(path, &error))?,
            path: path.to_path_buf(),
            is_new,
        })
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// When the system refuses; the text has the path.
    pub fn write(mut self, text: &str) -> Result<(), String> {
        let mut write = || {
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(text.as_bytes())
        };
        write().map_err(|error| failed(&self.path, &error))?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_new {
            // Nothing was measured: nothing is left behind.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
