//! `iceoryx2`: a publish-subscribe service for each direction, with one publisher and one subscriber.

use std::fmt;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use super::link::{Job, Link, Load, capacity, crossed};
use super::looks::Looks;
use crate::harness::baseline::Words;
use crate::harness::ours::fresh_name;
use crate::harness::{Endpoint, Meeting};

type Process = ipc::Service;

/// The names of both services, which the workers open.
#[derive(Debug)]
pub struct Iceoryx<const N: usize> {
    names: [ServiceName; 2],
    asleep: bool,
    load: Load<N>,
}

/// One worker's end.
///
/// A subscriber cannot wait by itself: here it either polls, or waits for an event that the publisher's side sends after
/// each message.
pub struct IceoryxEnd<'a, const N: usize> {
    publisher: Publisher<Process, Words<N>, ()>,
    subscriber: Subscriber<Process, Words<N>, ()>,
    events: Option<(Notifier<Process>, Listener<Process>)>,
    load: &'a Load<N>,
    _node: Node<Process>,
}

impl<const N: usize> fmt::Debug for IceoryxEnd<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceoryxEnd").finish_non_exhaustive()
    }
}

impl<const N: usize> Link<N> for Iceoryx<N> {
    const NAME: &'static str = "iceoryx2";

    type End<'a> = IceoryxEnd<'a, N>;

    fn new(job: Job) -> Self {
        set_log_level(LogLevel::Error);
        let name = || ServiceName::new(&fresh_name()).expect("a name");
        Self {
            names: [(); 2].map(|()| name()),
            asleep: job.asleep,
            load: Load::new(job.touched),
        }
    }

    fn open<'a>(&'a self, worker: usize, meeting: &Meeting) -> Self::End<'a> {
        if worker == 1 {
            meeting.meet();
        }
        let node = NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<Process>()
            .expect("a node");
        let (out, into) = crossed(worker, self.names.each_ref());
        let end = IceoryxEnd {
            publisher: publisher(&node, out),
            subscriber: subscriber(&node, into),
            events: self.asleep.then(|| events(&node, out, into)),
            load: &self.load,
            _node: node,
        };
        if worker == 0 {
            meeting.meet();
        }
        end
    }
}

/// The service of one direction: lossless, and with room for as many messages as the other links have.
fn service<const N: usize>(
    node: &Node<Process>,
    name: &ServiceName,
) -> iceoryx2::service::port_factory::publish_subscribe::PortFactory<Process, Words<N>, ()> {
    node.service_builder(name)
        .publish_subscribe::<Words<N>>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(capacity(N))
        .subscriber_max_borrowed_samples(1)
        .history_size(0)
        .max_publishers(1)
        .max_subscribers(1)
        .open_or_create()
        .expect("a service")
}

fn publisher<const N: usize>(
    node: &Node<Process>,
    name: &ServiceName,
) -> Publisher<Process, Words<N>, ()> {
    let service = service(node, name);
    let builder = service.publisher_builder();
    builder
        .max_loaned_samples(1)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .expect("a publisher")
}

fn subscriber<const N: usize>(
    node: &Node<Process>,
    name: &ServiceName,
) -> Subscriber<Process, Words<N>, ()> {
    let service = service(node, name);
    service.subscriber_builder().create().expect("a subscriber")
}

fn events(
    node: &Node<Process>,
    out: &ServiceName,
    into: &ServiceName,
) -> (Notifier<Process>, Listener<Process>) {
    let service = |name| {
        let builder = node.service_builder(name).event();
        builder.open_or_create().expect("a service")
    };
    let notifier = service(out).notifier_builder().create();
    let listener = service(into).listener_builder().create();
    (notifier.expect("a notifier"), listener.expect("a listener"))
}

impl<const N: usize> Endpoint for IceoryxEnd<'_, N> {
    #[inline]
    fn send(&mut self, seq: u64) {
        let mut looks = Looks::new();
        loop {
            let mut sample = self.publisher.loan_uninit().expect("a sample");
            // SAFETY: new shared memory is zeroed, and samples are only ever written with words; any bytes are words.
            let sample = unsafe {
                self.load.write(sample.payload_mut().assume_init_mut(), seq);
                sample.assume_init()
            };
            // A full buffer of a subscriber that has not received anything yet is no error: nobody gets the message.
            if sample.send().expect("a subscriber") > 0 {
                break;
            }
            looks.wait();
        }
        if let Some((notifier, _)) = &self.events {
            notifier.notify().expect("a listener");
        }
    }

    #[inline]
    fn receive(&mut self) -> (u64, u64) {
        let mut looks = Looks::new();
        loop {
            if let Some(sample) = self.subscriber.receive().expect("a publisher") {
                return self.load.read(sample.payload());
            }
            match &self.events {
                Some((_, listener)) => {
                    listener.blocking_wait(|_| ()).expect("a notifier");
                }
                None => looks.wait(),
            }
        }
    }

    fn check(&self, seq: u64) -> u64 {
        self.load.check(seq)
    }
}
