//! Messages on standard error, in the manner of the shell's tools, and text on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

/// Says what is wrong and that the work goes on.
pub fn warning(what: &dyn Display) {
    let mut err = io::stderr().lock();
    // On a terminal the progress bar, perhaps another process's, stands in this line: it makes room and comes back.
    let room = if err.is_terminal() { "\r\x1b[K" } else { "" };
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(err, "{room}multiproc: {what}");
}

/// Says that a file could not be read.
pub fn unreadable(path: &Path, error: &io::Error) {
    let name = printable(path.as_os_str().as_bytes());
    warning(&format_args!("{name}: {error}"));
}

/// A word or a name, as it does nothing to the terminal.
pub fn printable(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Writes the program's result to standard output.
///
/// A reader that has seen enough (`| head`) is no error: the rest is simply not written.
pub fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            warning(&format_args!("standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable(b"a\x1b[31mb\x07"), "a\u{fffd}[31mb\u{fffd}");
    }
}
