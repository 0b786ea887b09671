//! One process waits for an event that another sets three seconds later.

use multiproc::{Event, Process};
use std::time::Duration;

fn wait_for_event(event: Event) {
    println!("Waiting for event to be set.");
    event.wait();
    println!("Event has been set. Continuing.");
}

fn set_event(event: Event, delay: Duration) {
    println!(
        "Sleeping for {} seconds before setting the event.",
        delay.as_secs()
    );
    std::thread::sleep(delay);
    event.set();
    println!("Event has been set.");
}

fn main() -> multiproc::Result<()> {
    multiproc::init();
    let event = Event::new()?;
    let waiter = Process::spawn(wait_for_event, (event.clone(),))?;
    let setter = Process::spawn(set_event, (event, Duration::from_secs(3)))?;
    waiter.join()?;
    setter.join()
}
