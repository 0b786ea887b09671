//! What the proof suites share: forked actors, memory they report through, folders of their own, a small runner.
//!
//! The suites that kill processes have no test harness: a fork is only safe from a process with one thread, so
//! [`runner`] runs their tests one after the other on the main thread.

#![allow(dead_code, reason = "each suite uses its own part of this")]

pub mod board;
pub mod child;
pub mod folder;
pub mod numbers;
pub mod runner;
