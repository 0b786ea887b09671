//! Waking somebody who waits for many things at once: he polls a socket, whose number says where to ring.
//!
//! A futex is one word in one mapping, and who waits for a thousand objects, or for an object and a descriptor, has no word
//! that all who may wake him can reach. A datagram needs none: its address is a name, it goes to nobody once the waiter is
//! dead, and what it finds full is readable already.

/// Rings everybody who watches the object to which a word belongs.
pub(crate) trait Bells {
    /// Wakes all that watch the word there; for nobody it costs a look.
    fn ring(&self, word: Address);
}

/// Where this process has a word that is watched, of whatever length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(usize);

impl Address {
    pub(crate) fn of<W>(word: &W) -> Self {
        Address(std::ptr::from_ref(word).addr())
    }

    #[cfg(not(loom))]
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

#[cfg(all(test, loom))]
pub(crate) use model::ModelBell;

#[cfg(not(loom))]
pub(crate) use kernel::{Bell, ring};

#[cfg(not(loom))]
mod kernel {
    use crate::sys::identity::random_u64;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::OnceLock;

    /// A socket that is readable once somebody has rung.
    #[derive(Debug)]
    pub(crate) struct Bell {
        socket: UnixDatagram,
        number: u32,
    }

    /// A flood of rings is not read to its end.
    const MOST_RINGS: u32 = 64;

    impl Bell {
        /// A bell with a number that no other one has in this network namespace.
        pub(crate) fn new() -> io::Result<Self> {
            loop {
                let number = random_u64() as u32;
                match UnixDatagram::bind_addr(&address(number)?) {
                    Ok(socket) => {
                        socket.set_nonblocking(true)?;
                        return Ok(Bell { socket, number });
                    }
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(error) => return Err(error),
                }
            }
        }

        /// Where to ring.
        pub(crate) fn number(&self) -> u32 {
            self.number
        }

        /// Takes back all that was rung so far; whether anything was.
        pub(crate) fn hush(&self) -> bool {
            let rung = (0..MOST_RINGS).take_while(|_| self.socket.recv(&mut [0]).is_ok());
            rung.count() > 0
        }
    }

    impl AsFd for Bell {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }

    /// Abstract: such a name ends with its socket, and no file is left by the dead.
    fn address(number: u32) -> io::Result<SocketAddr> {
        SocketAddr::from_abstract_name(format!("multiproc.bell.{number:08x}"))
    }

    /// Rings bell `number`. Nobody may be there any more, and who has many rings to read needs no more of them.
    pub(crate) fn ring(number: u32) {
        static RINGER: OnceLock<Option<UnixDatagram>> = OnceLock::new();
        let ringer = RINGER.get_or_init(|| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        // Without a descriptor for it the watcher's slices have to do.
        if let (Some(ringer), Ok(address)) = (ringer, address(number)) {
            let _ = ringer.send_to_addr(&[0], &address);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_was_rung_is_readable_until_it_is_hushed() {
            let bell = Bell::new().unwrap();
            assert!(!bell.hush());
            (0..100).for_each(|_| ring(bell.number()));
            assert!(bell.hush());
            assert!(!bell.hush());
        }

        #[test]
        fn nobody_is_rung_without_harm() {
            let bell = Bell::new().unwrap();
            let number = bell.number();
            drop(bell);
            ring(number);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Address, Bells};
    use crate::sys::atomic::{AtomicU32, Ordering::SeqCst};
    use crate::sys::clock::Deadline;
    use crate::sys::futex;

    /// The bell of a model's one watcher.
    #[derive(Debug)]
    pub(crate) struct ModelBell(AtomicU32);

    impl ModelBell {
        pub(crate) fn new() -> Self {
            ModelBell(AtomicU32::new(0))
        }

        /// Takes back all that was rung so far.
        pub(crate) fn hush(&self) {
            self.0.swap(0, SeqCst);
        }

        /// Waits until it is rung.
        pub(crate) fn wait(&self) {
            while self.0.load(SeqCst) == 0 {
                futex::wait(&self.0, 0, Deadline::NEVER);
            }
        }
    }

    impl Bells for ModelBell {
        fn ring(&self, _: Address) {
            self.0.swap(1, SeqCst);
            futex::wake_all(&self.0);
        }
    }
}
