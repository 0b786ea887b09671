//! What a child gets as standard input, output and error.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::launch::above_stdio;
use crate::{Error, Result};

/// What a child gets as one of its standard streams.
///
/// # Examples
///
/// ```
/// use multiproc::Process;
/// use multiproc::process::Stdio;
/// use std::io::Read;
///
/// fn shout(text: String) {
///     println!("{}!", text.to_uppercase());
/// }
///
/// # fn main() -> multiproc::Result<()> {
/// # multiproc::init();
/// let process = Process::builder()
///     .stdout(Stdio::piped())
///     .spawn(shout, ("hello".to_string(),))?;
/// let mut heard = String::new();
/// process.take_stdout().expect("piped").read_to_string(&mut heard).expect("text");
/// assert_eq!(heard, "HELLO!\n");
/// process.join()
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Stdio {
    what: What,
}

#[derive(Debug, Default)]
enum What {
    #[default]
    Inherit,
    Null,
    Piped,
    Given(OwnedFd),
}

impl Stdio {
    /// The parent's own stream; what a child gets unless told otherwise.
    #[must_use]
    pub fn inherit() -> Self {
        Stdio::default()
    }

    /// Nothing: reading ends at once, writing vanishes.
    #[must_use]
    pub fn null() -> Self {
        Stdio { what: What::Null }
    }

    /// A pipe, whose other end the [`Process`](super::Process) gives.
    #[must_use]
    pub fn piped() -> Self {
        Stdio { what: What::Piped }
    }
}

impl From<OwnedFd> for Stdio {
    /// Any open file, socket or pipe.
    fn from(fd: OwnedFd) -> Self {
        Stdio {
            what: What::Given(fd),
        }
    }
}

impl From<File> for Stdio {
    /// An open file.
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

/// One standard stream, made: the child's end, and the parent's where it is a pipe.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) theirs: Option<OwnedFd>,
    pub(super) ours: Option<OwnedFd>,
}

impl Stdio {
    /// Makes the stream; the child reads it if `is_input`.
    pub(super) fn open(&self, is_input: bool) -> Result<Stream> {
        let (theirs, ours) = match &self.what {
            What::Inherit => return Ok(Stream::default()),
            What::Null => (null(is_input)?, None),
            What::Piped => {
                let (read, write) = std::io::pipe().map_err(failed)?;
                let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
                let (theirs, ours) = if is_input {
                    (read, write)
                } else {
                    (write, read)
                };
                (theirs, Some(ours))
            }
            What::Given(fd) => (fd.try_clone().map_err(failed)?, None),
        };
        Ok(Stream {
            theirs: Some(above_stdio(theirs)?),
            ours,
        })
    }
}

fn null(is_input: bool) -> Result<OwnedFd> {
    let mut options = File::options();
    options.read(is_input).write(!is_input);
    let file = options.open("/dev/null").map_err(failed)?;
    Ok(file.into())
}

fn failed(cause: std::io::Error) -> Error {
    Error::os("cannot make a standard stream for a process", cause)
}
