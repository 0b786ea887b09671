//! Source text for the tidy tests: reading it, blanking what is not code, finding words and blocks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the repository.
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// For Rust: the text with comments and the insides of literals blanked, line for line as long as `text`.
    pub code: String,
}

impl Source {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The room of the library this file belongs to; `None` outside `src` and for `lib.rs`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?.trim_end_matches(".rs");
        (room != "lib").then_some(room)
    }

    /// The code without its in-file test module, which every file here puts last.
    pub fn product(&self) -> &str {
        match self.code.find("#[cfg(test)]") {
            Some(end) => &self.code[..end],
            None => match self.code.find("#[cfg(all(test") {
                Some(end) => &self.code[..end],
                None => &self.code,
            },
        }
    }
}

/// What the checks find; [`Findings::settle`] fails the test with all of it at once.
#[derive(Default)]
pub struct Findings(Vec<String>);

impl Findings {
    pub fn add(&mut self, source: &Source, offset: usize, what: impl std::fmt::Display) {
        let line = source.text[..offset].matches('\n').count() + 1;
        self.0.push(format!("{}:{line}: {what}", source.path));
    }

    pub fn settle(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository, without what the build leaves behind.
pub fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(root(), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(root()).ok()?.to_str()?.to_owned();
        let code = if path.ends_with(".rs") {
            blank(&text)
        } else {
            String::new()
        };
        Some(Source { path, text, code })
    };
    files.into_iter().filter_map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().expect("a file type");
        if name == "target" || name == ".git" {
            continue;
        }
        if kind.is_dir() {
            collect(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

pub fn rust() -> Vec<Source> {
    sources().into_iter().filter(Source::is_rust).collect()
}

/// The files of the library, by room.
pub fn rooms() -> Vec<Source> {
    rust().into_iter().filter(|s| s.room().is_some()).collect()
}

/// `text` with comments and the insides of string and character literals replaced by blanks, newlines kept.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(
                bytes[at..end]
                    .iter()
                    .map(|&b| if b == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        }
    }
    String::from_utf8(out).expect("blanking keeps or removes whole characters")
}

/// The end of the comment or literal that starts at `at`, or `at` when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        at + find(rest, b"*/").map_or(rest.len(), |n| n + 2)
    } else if !word_before && (rest.starts_with(b"r\"") || rest.starts_with(b"r#")) {
        raw_string_end(bytes, at)
    } else if rest[0] == b'"' {
        quoted_end(bytes, at, b'"')
    } else if rest[0] == b'\'' && is_character(rest) {
        quoted_end(bytes, at, b'\'')
    } else {
        at
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|&&b| b == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at; // a raw identifier, r#type
    }
    let close: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let body = at + 2 + hashes;
    find(&bytes[body..], &close).map_or(bytes.len(), |n| body + n + close.len())
}

fn quoted_end(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut i = at + 1;
    while i < bytes.len() && bytes[i] != quote {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}

/// Tells a character literal from a lifetime.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(first) if !first.is_ascii() => true,
        Some(_) => rest.get(2) == Some(&b'\''),
        None => false,
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = code[..at].chars().next_back().is_none_or(|c| !is_word(c));
            let after = code[at + word.len()..]
                .chars()
                .next()
                .is_none_or(|c| !is_word(c));
            before && after
        })
}

pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    &text[..end]
}

/// The first segments of the path or the brace group that `text` starts with: `a::b` or `{a::b, c}`.
pub fn heads(text: &str) -> Vec<(usize, &str)> {
    if !text.starts_with('{') {
        return vec![(0, identifier(text))];
    }
    let (mut depth, mut fresh, mut found) = (0, false, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => (depth, fresh) = (depth + 1, depth == 0),
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => fresh = depth == 1,
            c if c.is_whitespace() => {}
            _ if fresh => (fresh, _) = (false, found.push((at, identifier(&text[at..])))),
            _ => {}
        }
    }
    found
}

/// Which room each name re-exported by `lib.rs` comes from.
pub fn exports(lib: &str) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for (at, _) in lib
        .match_indices("pub use ")
        .chain(lib.match_indices("pub(crate) use "))
    {
        let Some(end) = lib[at..].find(';') else {
            continue;
        };
        let path = lib[at..at + end].split("use ").nth(1).unwrap_or_default();
        let room = identifier(path);
        let names = path
            .split(|c: char| !is_word(c))
            .filter(|n| !n.is_empty() && *n != room);
        homes.extend(names.map(|name| (name.to_owned(), room.to_owned())));
    }
    homes
}

/// The bytes of `{ .. }` that opens at or after `from`.
pub fn block(code: &str, from: usize) -> Option<(usize, usize)> {
    let open = from + code[from..].find('{')?;
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some((open, open + at + 1)),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The doc comment above `at`, attributes included.
pub fn docs_above(text: &str, at: usize) -> String {
    let above: Vec<&str> = text[..at]
        .lines()
        .rev()
        .skip(usize::from(!text[..at].ends_with('\n')))
        .collect();
    let belongs = |l: &&&str| {
        let l = l.trim_start();
        l.starts_with("///") || l.starts_with("#[") || l.starts_with("//")
    };
    above
        .iter()
        .take_while(belongs)
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
