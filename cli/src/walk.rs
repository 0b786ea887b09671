//! File walking: which files the given paths mean, and how many were left out.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::ignore::Scope;
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

/// Walks one directory, in the order of names.
fn directory(
    root: &Path,
    all: bool,
    left_out: &mut LeftOut,
    each: &mut impl FnMut(Input) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // Rules are about absolute paths, people and messages about those that were named.
    let absolute = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    let scope = if all {
        None
    } else {
        Scope::outermost(&absolute)
    };
    let mut waiting = vec![(root.to_path_buf(), absolute, scope)];
    while let Some((directory, absolute, scope)) = waiting.pop() {
        let entries = match entries(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                left_out.failed += 1;
                say::unreadable(&directory, &error);
                continue;
            }
        };
        let mut deeper = Vec::new();
        for (name, kind) in entries {
            let (path, absolute) = (directory.join(&name), absolute.join(&name));
            if !all && is_skipped(&absolute, kind, scope.as_deref()) {
                left_out.skipped += regular_files(path, kind);
            } else if kind.is_dir() {
                let scope = if all {
                    None
                } else {
                    Scope::enter(&absolute, scope.clone())
                };
                deeper.push((path, absolute, scope));
            } else if kind.is_file() {
                each(Input { path, any: all })?;
            }
        }
        waiting.extend(deeper.into_iter().rev());
    }
    ControlFlow::Continue(())
}

/// What is in a directory, sorted by name.
fn entries(directory: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let entries = fs::read_dir(directory)?;
    let named = entries.map(|entry| entry.and_then(|e| Ok((e.file_name(), e.file_type()?))));
    let mut named = named.collect::<io::Result<Vec<_>>>()?;
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(named)
}

/// Whether a path is hidden or ignored.
fn is_skipped(absolute: &Path, kind: FileType, scope: Option<&Scope>) -> bool {
    let name = absolute.file_name().unwrap_or_default();
    let path = absolute.as_os_str().as_bytes();
    name.as_bytes().starts_with(b".") || scope.is_some_and(|s| s.ignores(path, kind.is_dir()))
}

/// How many regular files a path stands for: one, or those below it, as far as it can be listed.
fn regular_files(path: PathBuf, kind: FileType) -> u64 {
    let mut files = 0;
    let mut waiting = vec![(path, kind)];
    while let Some((path, kind)) = waiting.pop() {
        files += u64::from(kind.is_file());
        if !kind.is_dir() {
            continue;
        }
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if let Ok(kind) = entry.file_type() {
                waiting.push((entry.path(), kind));
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
    fn rules_of_the_repository_hold_in_its_parts() {
        let mut files = vec![
            (".gitignore", "*.log\nsub/c\n"),
            ("sub/a.log", ""),
            ("sub/b", ""),
            ("sub/c", ""),
        ];
        let (found, _) = names(&[tree(&files).path().join("sub")], false);
        assert_eq!(
            found,
            ["a.log", "b", "c"],
            "without a repository, what is above does not count"
        );
        files.push((".git/HEAD", ""));
        let (found, _) = names(&[tree(&files).path().join("sub")], false);
        assert_eq!(found, ["b"]);
    }

    #[test]
    fn a_repository_inside_another_has_its_own_rules() {
        let dir = tree(&[
            (".gitignore", "*.log\n"),
            ("inner/.git/HEAD", ""),
            ("inner/a.log", ""),
            ("inner/b/.gitignore", "c\n"),
            ("inner/b/c", ""),
            ("inner/b/d", ""),
        ]);
        let (found, _) = names(&[dir.path().to_path_buf()], false);
        assert_eq!(found, ["a.log", "d"]);
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
