//! The processors: which ones are used, and what they are.

use std::fs;
use std::sync::OnceLock;

/// The two processors that all measurements use: also in a worker, who may run on one of them only.
///
/// # Panics
///
/// When fewer than two processors are allowed.
pub fn cpus() -> [usize; 2] {
    static FOUND: OnceLock<[usize; 2]> = OnceLock::new();
    *FOUND.get_or_init(allowed)
}

fn allowed() -> [usize; 2] {
    // SAFETY: an all-zero set is a valid (empty) set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and of the size passed.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    // SAFETY: the index is below CPU_SETSIZE, the size of a set.
    let allowed = |&cpu: &usize| unsafe { libc::CPU_ISSET(cpu, &set) };
    let mut found = (0..libc::CPU_SETSIZE as usize).filter(allowed);
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => [first, second],
        _ => panic!("two processors are needed"),
    }
}

/// Ties the calling thread, and those that it starts, to one processor.
pub fn pin(cpu: usize) {
    pin_other(0, cpu);
}

/// The same for the first thread of another process, or for the caller if `pid` is 0.
pub fn pin_other(pid: libc::pid_t, cpu: usize) {
    // SAFETY: an all-zero set is a valid (empty) set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` came from a set of the same size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is readable and of the size passed.
    let rc = unsafe { libc::sched_setaffinity(pid, size_of_val(&set), &set) };
    assert_eq!(rc, 0, "pinning to processor {cpu}");
}

/// Asks for the highest ordinary priority, so that other programs disturb less; returns what was granted.
///
/// Where the scheduler shares the processors among groups first (`autogroup`), the group is asked for too.
pub fn prefer() -> i32 {
    let _ = fs::write("/proc/self/autogroup", "-20");
    // SAFETY: no memory is passed.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
        libc::getpriority(libc::PRIO_PROCESS, 0)
    }
}

/// Gives the group back what [`prefer`] asked for it.
pub fn restore() {
    let _ = fs::write("/proc/self/autogroup", "0");
}

/// One line that names processor, kernel and compiler.
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let count = cpuinfo.matches("\nprocessor").count() + 1;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let [first, second] = cpus();
    format!(
        "{model}, {count} processors, pinned to {first} and {second}, Linux {}, load {load}",
        kernel.trim()
    )
}

/// The date, in universal time: `2026-02-28`.
pub fn today() -> String {
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let seconds = epoch.elapsed().map_or(0, |span| span.as_secs());
    // Days since 1 March of the year 0, from where every leap day is a year's last: 719,468 of them before 1970, 146,097
    // in 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (400 * era + year, month + 3),
        _ => (400 * era + year + 1, month - 9),
    };
    format!("{year}-{month:02}-{day:02}")
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// The time that other machines on the same host have taken from this one's processors.
#[derive(Clone, Copy, Debug)]
pub struct Stolen {
    stolen: f64,
    all: f64,
}

impl Stolen {
    /// So far.
    pub fn so_far() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal
        let ticks: Vec<f64> = first
            .split_whitespace()
            .skip(1)
            .take(8)
            .flat_map(str::parse)
            .collect();
        Self {
            stolen: ticks.get(7).copied().unwrap_or(0.0),
            all: ticks.iter().sum(),
        }
    }

    /// The share of all time since, from 0 to 1.
    pub fn since(self) -> f64 {
        let now = Self::so_far();
        (now.stolen - self.stolen) / (now.all - self.all).max(1.0)
    }
}
