//! multiproc and its peers side by side, in one run: `cargo run --release -p multiproc-peers`.
//!
//! Peers marked † work between threads of one process: they cannot cross its border, and are shown as what staying
//! inside costs. Every contender has the waiting that its users get; the plain ring and the peers that cannot wait
//! pause 64 times and then yield.

#[path = "../../harness/mod.rs"]
mod harness;

mod dicts;
mod ipc;
mod links;
mod locks;
mod pools;
mod python;
mod starts;
mod streams;
mod threads;
mod versions;

use harness::Bench;

fn main() {
    procspawn::init();
    let mut bench = Bench::start("peers");
    bench.remark(&versions::line());
    links::rows(&mut bench);
    streams::rows(&mut bench);
    locks::rows(&mut bench);
    starts::rows(&mut bench);
    pools::rows(&mut bench);
    dicts::rows(&mut bench);
}
