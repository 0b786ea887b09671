//! Running the command, and reading what it says.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What a run of the command left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one line of JSON, of a run that went well.
    pub fn json(&self) -> Json {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        Json(self.stdout.trim_end().to_string())
    }
}

/// The command with these arguments, ready to start.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multiproc"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the command to its end.
pub fn run(arguments: &[&str]) -> Ran {
    ran(command(arguments).spawn().expect("the command starts"))
}

/// Runs the command with this as its standard input.
pub fn run_with(input: &[u8], arguments: &[&str]) -> Ran {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ran = ran(child);
    writer.join().expect("no panic").expect("all input is read");
    ran
}

/// Waits for a command's end.
pub fn ran(child: Child) -> Ran {
    let output = child.wait_with_output().expect("the command ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A JSON object on one line, as the command writes it.
#[derive(Debug)]
pub struct Json(pub String);

impl Json {
    /// The value of a key of the outermost object, as text.
    pub fn get(&self, key: &str) -> &str {
        let found = self.fields().into_iter().find(|(name, _)| *name == key);
        found
            .unwrap_or_else(|| panic!("no key {key} in {}", self.0))
            .1
    }

    /// A number.
    pub fn number(&self, key: &str) -> u64 {
        self.get(key)
            .parse()
            .unwrap_or_else(|_| panic!("{key}: {}", self.get(key)))
    }

    /// The keys of the outermost object, in order.
    pub fn keys(&self) -> Vec<&str> {
        self.fields().into_iter().map(|(key, _)| key).collect()
    }

    /// The elements of an array.
    pub fn array(&self, key: &str) -> Vec<&str> {
        split(self.get(key))
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        let pairs = split(&self.0).into_iter();
        pairs
            .map(|pair| pair.split_once(':').expect("key and value"))
            .map(|(k, v)| (k.trim_matches('"'), v))
            .collect()
    }
}

/// What stands between the outer brackets, cut at the commas that no inner bracket or string holds.
fn split(text: &str) -> Vec<&str> {
    let inside = &text[1..text.len() - 1];
    let (mut parts, mut depth, mut start, mut quoted, mut escaped) =
        (Vec::new(), 0, 0, false, false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    assert!(depth == 0 && !quoted, "not JSON: {text}");
    if start < inside.len() {
        parts.push(&inside[start..]);
    }
    parts
}

/// A directory with the given files.
pub fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, contents) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, contents).expect("a file");
    }
    dir
}

/// Text of about so many bytes: few words often, many words seldom, some lines long.
pub fn text(bytes: usize, mut seed: u64) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < bytes {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let (a, b) = ((seed >> 40) % 1000, (seed >> 50) % 1000);
        let end = if seed >> 61 == 0 { '\n' } else { ' ' };
        write!(text, "word{}{end}", a * b / 1000).expect("a vector takes all");
    }
    text
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The children of a process, by pid.
pub fn children(of: u32) -> Vec<u32> {
    let path = PathBuf::from(format!("/proc/{of}/task/{of}/children"));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

/// Waits until a process has so many children; the deadline is far beyond any honest delay.
pub fn wait_for_children(of: u32, count: usize) -> Vec<u32> {
    wait_until(|| Some(children(of)).filter(|found| found.len() >= count))
}

/// Whether a process exists and has not ended.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Asks again and again until there is an answer.
pub fn wait_until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "nothing happened for a minute"
        );
        std::thread::yield_now();
    }
}

/// Sends a signal, by name.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.expect("kill exists").success(), "kill -{name} {pid}");
}
