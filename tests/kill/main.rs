//! Random kills under load, by role: nothing acknowledged is lost, nothing is doubled without its mark, nothing is
//! torn, nobody waits for the dead.
//!
//! `MULTIPROC_KILLS=100` is the number of kills per role; docs/testing.md says how to run a million, and how a wait for
//! the dead is told from one for the machine.

mod annex;
mod barrier;
mod cell;
#[path = "../common/mod.rs"]
mod common;
mod condition;
mod dict;
mod event;
mod ledger;
mod list;
mod lock;
mod mail;
mod manager;
mod once;
mod patient;
mod pipe;
mod poison;
mod pool;
mod queue;
mod reentrant;
mod rwlock;
mod semaphore;
mod service;
mod shared;
mod stopped;
mod transaction;
mod witness;

use common::runner::Test;

/// Primitives, by role.
const PRIMITIVES: &[Test] = &[
    ("barrier_waiters_killed", barrier::waiters_killed),
    ("barrier_latecomers_killed", barrier::latecomers_killed),
    ("barrier_actors_killed", barrier::actors_killed),
    ("barrier_creators_killed", barrier::creators_killed),
    ("lock_holders_killed", lock::holders_killed),
    ("lock_waiters_killed", lock::waiters_killed),
    ("lock_users_killed", lock::hurried_killed),
    ("lock_creators_killed", lock::creators_killed),
    ("condition_waiters_killed", condition::waiters_killed),
    ("condition_watchers_killed", condition::watchers_killed),
    ("condition_notifiers_killed", condition::notifiers_killed),
    ("condition_holders_killed", condition::holders_killed),
    ("condition_creators_killed", condition::creators_killed),
    ("reentrant_lock_holders_killed", reentrant::holders_killed),
    ("reentrant_lock_waiters_killed", reentrant::waiters_killed),
    ("reentrant_creators_killed", reentrant::creators_killed),
    ("rwlock_readers_killed", rwlock::readers_killed),
    ("rwlock_writers_killed", rwlock::writers_killed),
    ("rwlock_waiters_killed", rwlock::waiters_killed),
    ("rwlock_creators_killed", rwlock::creators_killed),
    ("struct_holders_killed", shared::holders_killed),
    ("struct_creators_killed", shared::creators_killed),
    ("dict_writers_killed", dict::writers_killed),
    ("dict_readers_killed", dict::readers_killed),
    ("list_writers_killed", list::writers_killed),
    ("manager_writers_killed", manager::writers_killed),
    ("manager_readers_killed", manager::readers_killed),
    ("manager_creators_killed", manager::creators_killed),
    ("transaction_writers_killed", transaction::writers_killed),
    ("service_servers_killed", service::servers_killed),
    ("service_callers_killed", service::callers_killed),
    ("array_holders_killed", annex::array_holders_killed),
    ("annex_creators_killed", annex::creators_killed),
    ("once_initialisers_killed", once::initialisers_killed),
    ("once_creators_killed", once::creators_killed),
    ("event_waiters_killed", event::waiters_killed),
    ("event_setters_killed", event::setters_killed),
    ("event_creators_killed", event::creators_killed),
    ("semaphore_takers_killed", semaphore::takers_killed),
    ("semaphore_givers_killed", semaphore::givers_killed),
    ("semaphore_creators_killed", semaphore::creators_killed),
    ("bounded_holders_killed", semaphore::holders_killed),
    ("bounded_waiters_killed", semaphore::waiters_killed),
    ("bounded_users_killed", semaphore::users_killed),
    (
        "bounded_creators_killed",
        semaphore::bounded_creators_killed,
    ),
];

/// Queues, pipes, and what is about time more than about kills.
const OTHERS: &[Test] = &[
    ("queue_producers_killed", queue::producers_killed),
    ("queue_consumers_killed", queue::consumers_killed),
    ("queue_lessees_killed", queue::lessees_killed),
    (
        "queue_waiting_consumers_killed",
        queue::waiting_consumers_killed,
    ),
    (
        "queue_waiting_producers_killed",
        queue::waiting_producers_killed,
    ),
    ("queue_creators_killed", queue::creators_killed),
    ("pipe_senders_killed", pipe::senders_killed),
    ("pipe_receivers_killed", pipe::receivers_killed),
    ("pipe_ends_killed", pipe::both_ends_killed),
    (
        "queue_sleeper_gets_what_the_dead_held",
        patient::a_sleeper_gets_what_the_dead_held,
    ),
    #[cfg(debug_assertions)]
    ("queue_wake_up_that_the_dead_owed", patient::for_room),
    #[cfg(debug_assertions)]
    ("lock_wake_up_that_the_dead_owed", patient::for_a_lock),
    ("queue_poison_is_buried", poison::poison_is_buried),
    ("pool_workers_killed", pool::workers_killed),
    (
        "queue_lease_is_in_nobodys_way",
        poison::lease_is_in_nobodys_way,
    ),
    (
        "lock_stopped_holder_keeps_its_lock",
        stopped::holder_keeps_its_lock,
    ),
    (
        "queue_stopped_reader_keeps_its_message",
        stopped::reader_keeps_its_message,
    ),
    (
        "queue_stopped_writer_keeps_its_claim",
        stopped::writer_keeps_its_claim,
    ),
    (
        "pipe_stopped_end_is_not_a_dead_one",
        stopped::pipe_end_is_kept,
    ),
];

fn main() -> std::process::ExitCode {
    common::runner::run(&[PRIMITIVES, OTHERS].concat())
}
