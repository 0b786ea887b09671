//! The rules of `.gitignore` files: which paths they exclude.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use crate::glob;

/// One line of a file of rules.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    pattern: Vec<u8>,
    /// A `!` in front: takes back what an earlier rule excluded.
    includes: bool,
    /// A `/` at the end: is about directories alone.
    directories: bool,
    /// A `/` elsewhere: is about this very path, and not about any path that ends so.
    anchored: bool,
}

impl Rule {
    /// Reads one line; `None` for comments and empty lines.
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = without_trailing_spaces(line);
        if line.is_empty() || line[0] == b'#' {
            return None;
        }
        let (includes, line) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (directories, line) = match line.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let anchored = line.contains(&b'/');
        let pattern = line.strip_prefix(b"/").unwrap_or(line).to_vec();
        (!pattern.is_empty()).then_some(Rule {
            pattern,
            includes,
            directories,
            anchored,
        })
    }

    fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if self.directories && !is_directory {
            return false;
        }
        if self.anchored {
            return glob::matches_path(&self.pattern, path);
        }
        let name = path.rsplit(|&c| c == b'/').next().unwrap_or(path);
        glob::matches(&self.pattern, name)
    }
}

/// Spaces at the end of a line do not count, unless the first of them is escaped.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut end = line.len();
    while end > 0 && line[end - 1] == b' ' {
        let escapes = line[..end - 1]
            .iter()
            .rev()
            .take_while(|&&c| c == b'\\')
            .count();
        if escapes % 2 == 1 {
            break;
        }
        end -= 1;
    }
    &line[..end]
}

/// The rules that hold in one directory: its own, then those of the directories above it.
#[derive(Debug)]
pub struct Scope {
    rules: Vec<Rule>,
    /// Bytes of the directory's own absolute path, which the rules do not see.
    base: usize,
    above: Option<Rc<Scope>>,
}

impl Scope {
    /// The rules that hold in `directory`, an absolute path, if a walk starts there: those of its repository, if it is
    /// in one, and its own.
    pub fn outermost(directory: &Path) -> Option<Rc<Self>> {
        let mut chain: Vec<_> = directory.ancestors().collect();
        let repository = chain.iter().position(|path| path.join(".git").exists());
        chain.truncate(repository.unwrap_or(0) + 1);
        chain
            .into_iter()
            .rev()
            .fold(None, |above, path| Scope::enter(path, above))
    }

    /// The rules that hold in `directory`, given those that hold above it.
    pub fn enter(directory: &Path, above: Option<Rc<Self>>) -> Option<Rc<Self>> {
        let is_repository = directory.join(".git").exists();
        // What git ignores ends at the border of a repository.
        let above = if is_repository { None } else { above };
        let exclude = read(&directory.join(".git/info/exclude"));
        let mut rules = if is_repository {
            parse(&exclude)
        } else {
            Vec::new()
        };
        rules.extend(parse(&read(&directory.join(".gitignore"))));
        if rules.is_empty() {
            return above;
        }
        let base = directory.as_os_str().len();
        Some(Rc::new(Scope { rules, base, above }))
    }

    /// Whether a path, absolute and below the directory, is ignored. The last rule that matches decides.
    pub fn ignores(&self, path: &[u8], is_directory: bool) -> bool {
        let own = path[self.base..]
            .strip_prefix(b"/")
            .unwrap_or(&path[self.base..]);
        match self
            .rules
            .iter()
            .rev()
            .find(|rule| rule.matches(own, is_directory))
        {
            Some(rule) => !rule.includes,
            None => self
                .above
                .as_ref()
                .is_some_and(|above| above.ignores(path, is_directory)),
        }
    }
}

/// A file of rules; one that is not there, or cannot be read, has none.
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

fn parse(text: &[u8]) -> Vec<Rule> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|&c| c == b'\n')
        .filter_map(Rule::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ignores(rules: &str, path: &str) -> bool {
        let scope = Scope {
            rules: parse(rules.as_bytes()),
            base: 0,
            above: None,
        };
        let (path, is_directory) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        scope.ignores(path.as_bytes(), is_directory)
    }

    #[test]
    fn ignores_by_table() {
        let cases = [
            ("# comment\n\n", "# comment", false),
            ("\\#x", "#x", true),
            ("\\!x", "!x", true),
            ("a", "b/a", true),
            ("a/", "a", false),
            ("a/", "b/a/", true),
            ("/a", "b/a", false),
            ("/a", "a", true),
            ("b/a", "c/b/a", false),
            ("*.log\n!keep.log", "keep.log", false),
            ("!keep.log\n*.log", "keep.log", true),
            ("a  ", "a", true),
            ("a\\ ", "a ", true),
            ("a\r\nb", "a", true),
            ("\u{feff}a", "a", true),
            ("doc/**/x", "doc/a/b/x", true),
            ("**/x", "x", true),
            ("/", "a", false),
        ];
        for (rules, path, expected) in cases {
            assert_eq!(ignores(rules, path), expected, "{rules:?} {path:?}");
        }
    }

    /// Every pattern of a few letters against every path of a few letters, decided by git where there is one.
    #[test]
    fn git_agrees() {
        let dir = tempfile::tempdir().expect("a directory");
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(dir.path()).args(arguments).output()
        };
        if !git(&["init", "-q"]).is_ok_and(|output| output.status.success()) {
            return;
        }
        let parts = ["a", "b", "/", "*", "**", "?", "!", "[ab]", "\\a"];
        let paths = ["a", "b", "ab", "a/b", "b/a", "ab/a", "a/b/a", "b/a/b"];
        let mut seed = 1u64;
        for _ in 0..120 {
            let mut rules = String::new();
            for _ in 0..3 {
                for _ in 0..4 {
                    seed = seed
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    rules += parts[(seed >> 33) as usize % parts.len()];
                }
                rules.push('\n');
            }
            fs::write(dir.path().join(".gitignore"), &rules).expect("a file");
            let output = git(&[&["check-ignore", "--no-index"], &paths[..]].concat()).expect("git");
            let ignored = String::from_utf8(output.stdout).expect("text");
            for path in paths {
                let expected = ignored.lines().any(|line| line == path);
                assert_eq!(parents_too(&rules, path), expected, "{rules:?} {path:?}");
            }
        }
    }

    /// As a walk finds out: nothing below an ignored directory is ever looked at.
    fn parents_too(rules: &str, path: &str) -> bool {
        let directories = path
            .match_indices('/')
            .map(|(at, _)| format!("{}/", &path[..at]));
        directories
            .into_iter()
            .any(|directory| ignores(rules, &directory))
            || ignores(rules, path)
    }
}
