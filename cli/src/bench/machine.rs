//! The machine, as far as it says what it is.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::clock::now_ns;

/// What a reader must know to make anything of the figures.
#[derive(Clone, Debug)]
pub struct Machine {
    pub cpu: String,
    pub processors: usize,
    /// The processors that were used, in the order in which processes got them.
    pub used: Vec<u32>,
    pub caches: String,
    pub kernel: String,
    /// Whose guest this is; `no`, as far as it can be seen.
    pub virtualised: String,
    /// The load average of the last minute when the bench began.
    pub load: String,
    pub clocksource: String,
    /// What reading the clock costs, in nanoseconds: a part of every single time.
    pub clock_ns: f64,
    pub version: &'static str,
    /// When the bench began, UTC.
    pub date: String,
}

impl Machine {
    /// Asks the system; `used` are the processors that will be.
    pub fn describe(used: &[u32]) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        Machine {
            cpu: cpu(&cpuinfo),
            processors: cpuinfo
                .lines()
                .filter(|l| l.starts_with("processor"))
                .count(),
            used: used.to_vec(),
            caches: caches(),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease")),
            virtualised: virtualised(&cpuinfo),
            load: first_word(&read("/proc/loadavg")),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            clock_ns: clock_cost(),
            version: env!("CARGO_PKG_VERSION"),
            date: date(seconds_since_epoch()),
        }
    }

    /// Its parts with their names, in the order of the reports.
    pub fn parts(&self) -> [(&'static str, String); 10] {
        let used: Vec<String> = self.used.iter().map(u32::to_string).collect();
        [
            ("processor", self.cpu.clone()),
            (
                "processors",
                format!("{}, used: {}", self.processors, used.join(" ")),
            ),
            ("caches", self.caches.clone()),
            ("kernel", self.kernel.clone()),
            ("virtualised", self.virtualised.clone()),
            ("load", self.load.clone()),
            ("clocksource", self.clocksource.clone()),
            ("clock", format!("{:.0} ns to read", self.clock_ns)),
            ("multiproc", self.version.into()),
            ("date", self.date.clone()),
        ]
    }
}

/// A small file of the system's, without the space around it; `unknown` if there is none.
fn read(path: &str) -> String {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_string(),
        _ => "unknown".into(),
    }
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_string()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn cpu(cpuinfo: &str) -> String {
    let model = field(cpuinfo, "model name").or_else(|| field(cpuinfo, "CPU part"));
    match model {
        Some(model) => format!("{model} ({})", std::env::consts::ARCH),
        None => std::env::consts::ARCH.into(),
    }
}

/// The caches of the first processor: `L1d 32K, L2 1024K, L3 32768K`.
fn caches() -> String {
    let cache = |index: usize| {
        let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let of = |name: &str| fs::read_to_string(format!("{folder}/{name}")).ok();
        let kind = match of("type")?.trim() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some(format!(
            "L{}{kind} {}",
            of("level")?.trim(),
            of("size")?.trim()
        ))
    };
    let found: Vec<String> = (0..8).filter_map(cache).collect();
    match found.is_empty() {
        true => "unknown".into(),
        false => found.join(", "),
    }
}

/// By the flag that every x86 guest sees, or what the firmware calls itself.
fn virtualised(cpuinfo: &str) -> String {
    let vendor = read("/sys/class/dmi/id/sys_vendor");
    let flagged = field(cpuinfo, "flags").is_some_and(|flags| flags.contains("hypervisor"));
    let known = [
        "QEMU",
        "KVM",
        "VMware",
        "Xen",
        "innotek",
        "Amazon EC2",
        "Google",
    ];
    let named = known.iter().any(|name| vendor.contains(name));
    match (flagged, named) {
        (_, true) => format!("yes ({vendor})"),
        (true, false) => "yes".into(),
        (false, false) if cfg!(target_arch = "x86_64") => "no".into(),
        (false, false) => "unknown".into(),
    }
}

/// The median of some looks at the clock.
fn clock_cost() -> f64 {
    const READS: u64 = 1000;
    let mut costs: Vec<u64> = (0..15)
        .map(|_| {
            let begin = now_ns();
            (0..READS).for_each(|_| {
                std::hint::black_box(now_ns());
            });
            now_ns() - begin
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2] as f64 / READS as f64
}

fn seconds_since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// `2026-11-27 02:14:42 UTC`
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin with March here, so that the day that comes every four years is the last one of a year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The time that other machines on the same host take from this one's processors.
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
        let columns = first.split_whitespace().skip(1).take(8);
        let ticks: Vec<f64> = columns.flat_map(str::parse).collect();
        Stolen {
            stolen: ticks.get(7).copied().unwrap_or(0.0),
            all: ticks.iter().sum(),
        }
    }

    /// The share of all time since, from 0 to 1.
    pub fn since(self) -> f64 {
        let now = Stolen::so_far();
        (now.stolen - self.stolen).max(0.0) / (now.all - self.all).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_745_682, "2026-11-27 02:14:42 UTC"),
        ];
        for (seconds, text) in cases {
            assert_eq!(date(seconds), text);
        }
    }
}
