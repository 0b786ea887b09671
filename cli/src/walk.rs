//! File walking: which files the given paths mean, and how many were left out.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::say;

/// One input, as a producer opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The path, or `-` for standard input.
    pub path: PathBuf,
    /// Whether it is counted even when it looks binary.
    pub any: bool,
}

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// What a walk left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeftOut {
    /// Hidden and ignored files.
    pub skipped: u64,
    /// Paths that do not exist, and directories that cannot be listed.
    pub failed: u64,
}

impl Input {
    /// An input as named on the command line.
    pub fn named(path: PathBuf) -> Self {
        Input { path, any: false }
    }
}

/// Walks the inputs named and hands every file to `each`, until it breaks.
///
/// A file given by name is taken even when it is hidden or ignored. Symbolic links inside a directory are not followed.
/// Files below an ignored directory are counted as skipped, each of them.
pub fn walk(named: &[Input], all: bool, mut each: impl FnMut(Input) -> ControlFlow<()>) -> LeftOut {
    let mut left_out = LeftOut::default();
    for input in named {
        if one(input, all, &mut left_out, &mut each).is_break() {
            break;
        }
    }
    left_out
}

/// Walks what one argument means.
fn one(
    input: &Input,
    all: bool,
    left_out: &mut LeftOut,
    each: &mut impl FnMut(Input) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let path = input.path.clone();
    if path.as_os_str() == STDIN {
        return each(Input { path, any: true });
    }
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => directory(&path, all, left_out, each),
        // A pipe or a device that was named is meant, whatever comes out of it.
        Ok(found) => each(Input {
            path,
            any: all || input.any || !found.is_file(),
        }),
        Err(error) => {
            left_out.failed += 1;
            say::unreadable(&path, &error);
            ControlFlow::Continue(())
        }
    }
}

/// Walks one directory.
fn directory(
    root: &Path,
    all: bool,
    left_out: &mut LeftOut,
    each: &mut impl FnMut(Input) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut taken = 0;
    for entry in builder(root, all).build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                taken += 1;
                each(Input {
                    path: entry.into_path(),
                    any: all,
                })?;
            }
            Ok(_) => {}
            Err(error) => {
                left_out.failed += 1;
                say::warning(&error);
            }
        }
    }
    if !all {
        left_out.skipped += regular_files(root).saturating_sub(taken);
    }
    ControlFlow::Continue(())
}

/// The rules of what is walked: git's, whether or not this is a repository.
fn builder(root: &Path, all: bool) -> WalkBuilder {
    let mut builder = WalkBuilder::new(root);
    builder
        .standard_filters(!all)
        .ignore(false)
        .require_git(false);
    builder
}

/// How many regular files there are below a directory, as far as it can be listed.
fn regular_files(directory: &Path) -> u64 {
    let mut files = 0;
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                Ok(kind) => files += u64::from(kind.is_file()),
                Err(_) => {}
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A directory with the given files, each with its contents.
    fn tree(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        dir
    }

    fn names(paths: &[PathBuf], all: bool) -> (Vec<String>, LeftOut) {
        let mut names = Vec::new();
        let named: Vec<_> = paths.iter().cloned().map(Input::named).collect();
        let left_out = walk(&named, all, |input| {
            names.push(
                input
                    .path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
            );
            ControlFlow::Continue(())
        });
        names.sort();
        (names, left_out)
    }

    #[test]
    fn hidden_and_ignored_files_are_skipped_and_counted() {
        let dir = tree(&[
            ("a.txt", ""),
            ("deep/b.txt", ""),
            ("deep/note.log", ""),
            (".hidden", ""),
            (".gitignore", "target/\n*.log\n!kept.log\n"),
            ("kept.log", ""),
            ("target/x", ""),
            ("target/y/z", ""),
            (".git/info/exclude", "secret\n"),
            ("secret", ""),
        ]);
        let root = [dir.path().to_path_buf()];
        let (found, left_out) = names(&root, false);
        assert_eq!(found, ["a.txt", "b.txt", "kept.log"]);
        assert_eq!(left_out.skipped, 7);
        let (found, left_out) = names(&root, true);
        assert_eq!((found.len(), left_out.skipped), (10, 0));
    }

    #[test]
    fn rules_hold_without_a_repository_and_in_parents() {
        let dir = tree(&[(".gitignore", "*.log\n"), ("sub/a.log", ""), ("sub/b", "")]);
        let (found, _) = names(&[dir.path().join("sub")], false);
        assert_eq!(found, ["b"]);
    }

    #[test]
    fn a_named_file_is_taken_though_ignored() {
        let dir = tree(&[(".gitignore", "*.log\n"), ("a.log", ""), (".b", "")]);
        let (found, _) = names(&[dir.path().join("a.log"), dir.path().join(".b")], false);
        assert_eq!(found, [".b", "a.log"]);
    }

    #[test]
    fn a_missing_path_is_counted_and_the_walk_goes_on() {
        let dir = tree(&[("a", "")]);
        let (found, left_out) = names(&[dir.path().join("no"), dir.path().join("a")], false);
        assert_eq!((found, left_out.failed), (vec!["a".to_string()], 1));
    }
}
