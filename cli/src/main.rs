//! The `multiproc` command.

fn main() {}
