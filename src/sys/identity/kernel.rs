//! Liveness by OFD byte locks, and the names by which the kernel knows a process.
//!
//! A lock belongs to the *open file description*: it lasts until every descriptor of it is closed,
//! which the kernel does only after the last thread of the process has left user mode. A descriptor that
//! was inherited or received shares its description with the sender and must be re-opened before it is locked
//! ([`crate::sys::fd::reopen`]), or the dead would look alive.

use super::Participant;
use crate::sys::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sys::ofd::{self, Hold, Range};
use crate::sys::step::step;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

fn byte_of(who: Participant) -> Range {
    Range::byte(ofd::BASE + i64::from(who.get()))
}

/// Takes the byte lock of `who` on this description; `false` if another description holds it.
pub(crate) fn lock_own(fd: BorrowedFd<'_>, who: Participant) -> io::Result<bool> {
    step("identity.lock_own");
    ofd::try_lock(fd, Hold::Exclusive, byte_of(who))
}

/// Gives back the byte lock of `who`; never in a forked child, whose description is its parent's.
pub(crate) fn unlock_own(fd: BorrowedFd<'_>, who: Participant) -> io::Result<()> {
    step("identity.unlock_own");
    ofd::unlock(fd, byte_of(who))
}

/// Whether some *other* description holds the byte lock of `who`; the own slot must be answered by the caller.
///
/// When the kernel does not answer, the participant counts as alive: that delays a repair, where the opposite would
/// repair under a living owner's hands.
pub(crate) fn is_alive(fd: BorrowedFd<'_>, who: Participant) -> bool {
    ofd::held_elsewhere(fd, byte_of(who)).unwrap_or(true)
}

/// A process by pid and start time: unlike a pid alone, never two processes of one boot and namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
}

impl Process {
    /// The calling process.
    pub(crate) fn current() -> Self {
        Process {
            pid: current_pid(),
            start_time: own_fact(&START_TIME, || start_time(current_pid()).unwrap_or(0)),
        }
    }
}

/// Facts about this process that take `/proc` to learn, each with the pid that it is true of: a forked child starts
/// anew.
struct Fact {
    pid: AtomicU32,
    value: AtomicU64,
}

static START_TIME: Fact = Fact::unknown();
static PID_NAMESPACE: Fact = Fact::unknown();

impl Fact {
    const fn unknown() -> Self {
        Fact {
            pid: AtomicU32::new(0),
            value: AtomicU64::new(0),
        }
    }
}

fn own_fact(fact: &Fact, learn: impl FnOnce() -> u64) -> u64 {
    let pid = current_pid();
    // Acquire pairs with the Release below. Threads that learn at once learn the same.
    if fact.pid.load(Ordering::Acquire) == pid {
        return fact.value.load(Ordering::Relaxed);
    }
    let value = learn();
    fact.value.store(value, Ordering::Relaxed);
    fact.pid.store(pid, Ordering::Release);
    value
}

/// The calling process's id, asked of the kernel each time: a cached one would be wrong after fork.
pub(crate) fn current_pid() -> u32 {
    std::process::id()
}

/// When `pid` started, in clock ticks since boot (field 22 of `/proc/PID/stat`); `None` if there is no such process.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_start_time(&stat)
}

/// The command name, field 2, may hold spaces and parentheses: fields are counted from its *last* parenthesis.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    fields.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// The inode of this process's pid namespace, 0 if `/proc` is not there.
pub(crate) fn pid_namespace() -> u64 {
    let learn = || fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino());
    own_fact(&PID_NAMESPACE, learn)
}

/// The id of this boot, all zero if the kernel does not tell. Read once.
pub(crate) fn boot_id() -> [u8; 16] {
    static KNOWN: AtomicBool = AtomicBool::new(false);
    static HALVES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    // Acquire pairs with the Release below. Threads that read at once read the same.
    if !KNOWN.load(Ordering::Acquire) {
        let id = read_boot_id();
        HALVES[0].store((id >> 64) as u64, Ordering::Relaxed);
        HALVES[1].store(id as u64, Ordering::Relaxed);
        KNOWN.store(true, Ordering::Release);
    }
    let [high, low] = HALVES.each_ref().map(|half| half.load(Ordering::Relaxed));
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

fn read_boot_id() -> u128 {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    parse_uuid(text.trim()).unwrap_or(0)
}

fn parse_uuid(text: &str) -> Option<u128> {
    let hex: String = text.chars().filter(|&c| c != '-').collect();
    u128::from_str_radix(&hex, 16).ok()
}

/// The user whose rights this process has.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// A random number that no other process will draw; never 0, which means "none" wherever ids are stored.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0_u8; 8];
    loop {
        // SAFETY: `bytes` is writable for its length.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        let number = u64::from_ne_bytes(bytes);
        if got == 8 && number != 0 {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::OpenOptionsExt;

    fn two_descriptions() -> (File, File) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = File::options().read(true).write(true).open(file.path());
        (file.into_file(), other.unwrap())
    }

    #[test]
    fn a_locked_byte_is_a_living_participant() {
        let (mine, other) = two_descriptions();
        let who = Participant::new(7).unwrap();
        assert!(!is_alive(other.as_fd(), who));
        assert!(lock_own(mine.as_fd(), who).unwrap());
        assert!(is_alive(other.as_fd(), who));
        assert!(!lock_own(other.as_fd(), who).unwrap());
        drop(mine);
        assert!(!is_alive(other.as_fd(), who));
    }

    #[test]
    fn an_unanswerable_question_means_alive() {
        let only_a_path = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open("/proc/self/stat")
            .unwrap();
        assert!(is_alive(only_a_path.as_fd(), Participant::FIRST));
    }

    #[test]
    fn start_times_survive_hostile_command_names() {
        let line = b"42 (a) R (b) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        assert_eq!(parse_start_time(line), Some(98765));
        assert_eq!(parse_start_time(b"42 (truncated"), None);
    }

    #[test]
    fn this_process_has_a_start_time_and_a_boot() {
        assert!(Process::current().start_time > 0);
        assert_eq!(start_time(u32::MAX), None);
        assert_ne!(boot_id(), [0; 16]);
        assert_ne!(pid_namespace(), 0);
        assert_ne!(random_u64(), random_u64());
    }
}
