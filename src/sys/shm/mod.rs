//! Shared memory as files: created anonymous or named, given room, mapped.

mod file;
mod limits;
mod map;
mod named;
mod space;

#[cfg(test)]
pub(crate) use file::seal_against_growing;
pub(crate) use file::{anonymous, open_existing, seal_against_shrinking};
pub(crate) use map::Mapping;
pub(crate) use named::TmpFile;
pub(crate) use space::{allocate, punch};

/// The unit in which files get memory and mappings start; larger hardware pages round up further by themselves.
pub(crate) const PAGE: u64 = 4096;
