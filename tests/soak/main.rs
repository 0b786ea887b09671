//! Messages of all lengths by all verbs through pipes and queues between real processes, for as long as one likes: each
//! carries its number and a checksum, and a gap, a repetition or a changed byte is an error that names the seed.
//!
//! `MULTIPROC_SOAK_SECONDS=600 cargo test --release --test soak -- --nocapture`; without it a fixed number of messages.

use multiproc::Process;

#[path = "../common/mod.rs"]
mod common;

mod letters;
mod pipes;
mod queues;

use letters::Tally;

/// Waits for all processes, and fails with what any of them found.
fn collect<R: multiproc::Message>(processes: impl IntoIterator<Item = Process<R>>) -> Vec<R> {
    let ends: Vec<_> = processes.into_iter().map(|p| p.join()).collect();
    let errors: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", letters::seed());
    ends.into_iter().flatten().collect()
}

/// Fails unless all that was sent was received.
fn settle(what: &str, sent: &[Tally], received: &[Tally]) {
    let (sent, received) = (Tally::of(sent), Tally::of(received));
    assert_eq!(
        sent,
        received,
        "{what}: sent and received, {}",
        letters::seed()
    );
    println!("soak: {what}: {received}, all in order and whole");
}
