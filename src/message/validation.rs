//! Whether what is read is checked first.

/// Whether messages are checked before they are read.
///
/// The promise of this crate is about processes of one user that may die at any instant, not about ones that write
/// nonsense: what a crash leaves behind is never seen by a reader, checked or not. Types are compared when a queue is
/// opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// Messages are read as they are: what the other process wrote is what it says.
    #[default]
    Trust,
    /// Every message is checked before it is read; one that is not valid is an error and never undefined behaviour.
    /// Costs next to nothing for numbers, and about as much as writing them for strings.
    Check,
}
