//! Messages on standard error, in the manner of the shell's tools, and text on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
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
    warning(&format_args!("{}: {error}", path.display()));
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
