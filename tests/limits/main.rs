//! Many processes, many objects, no space, and names that lead to something else.
//!
//! The sizes are those of a change; docs/testing.md says how to enlarge them.

mod annexes;
#[path = "../common/mod.rs"]
mod common;
mod crowds;
mod hidden;
mod idle;
mod leaks;
mod names;
mod space;
mod woken;

fn main() -> std::process::ExitCode {
    common::runner::run(&[
        (
            "many_processes_count_exactly",
            crowds::many_processes_count_exactly,
        ),
        (
            "a_thousand_meet_at_a_barrier",
            crowds::a_thousand_meet_at_a_barrier,
        ),
        (
            "idle_waiters_of_a_queue_cost_little",
            crowds::idle_consumers_cost_little,
        ),
        (
            "idle_waiters_of_a_lock_cost_little",
            crowds::idle_lockers_cost_little,
        ),
        ("idle_waiters_of_an_event_cost_little", idle::events),
        ("idle_waiters_of_a_latch_cost_little", idle::latches),
        ("idle_waiters_of_a_semaphore_cost_little", idle::semaphores),
        (
            "idle_waiters_of_a_bounded_semaphore_cost_little",
            idle::bounded_semaphores,
        ),
        ("idle_waiters_of_a_condition_cost_little", idle::conditions),
        (
            "idle_waiters_of_a_reentrant_lock_cost_little",
            idle::reentrant_locks,
        ),
        ("idle_readers_of_an_rwlock_cost_little", idle::readers),
        ("idle_writers_of_an_rwlock_cost_little", idle::writers),
        ("idle_waiters_of_a_barrier_cost_little", idle::barriers),
        (
            "a_crowd_is_notified_exactly",
            crowds::a_crowd_is_notified_exactly,
        ),
        ("a_crowd_is_let_through", woken::a_crowd_is_let_through),
        (
            "a_crowd_is_given_permits_exactly",
            woken::a_crowd_is_given_permits_exactly,
        ),
        ("nothing_leaks", leaks::nothing_leaks),
        (
            "gc_never_removes_the_living",
            leaks::gc_never_removes_the_living,
        ),
        (
            "a_full_file_system_is_a_typed_error",
            space::a_full_file_system_is_a_typed_error,
        ),
        (
            "a_full_cgroup_is_a_typed_error",
            space::a_full_cgroup_is_a_typed_error,
        ),
        (
            "a_hidden_holder_is_a_typed_error",
            hidden::a_hidden_holder_is_a_typed_error,
        ),
        (
            "primitives_end_with_their_manager",
            annexes::end_with_their_manager,
        ),
        (
            "a_bad_object_is_a_typed_error",
            names::a_bad_object_is_a_typed_error,
        ),
    ])
}
