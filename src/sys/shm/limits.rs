//! How much memory this process may still take, before somebody is killed for it.

use super::space::Size;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::now_ns;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes that may be allocated without looking at the limits again, and until when.
///
/// A look reads a dozen small files; small allocations spend a part of what it found. Both are this process's own.
static CREDIT: AtomicU64 = AtomicU64::new(0);
static CREDIT_ENDS: AtomicU64 = AtomicU64::new(0);

const CREDIT_LASTS_NS: u64 = 1_000_000_000;
const LARGEST_CREDIT: u64 = 64 << 20;

/// Says `NoSpace` if `len` more bytes would pass the machine's or a control group's limit.
pub(super) fn check(len: u64) -> Result<()> {
    if spend_credit(len) {
        return Ok(());
    }
    let (free, bound) = tightest();
    // Page tables, and what others take meanwhile, need some room as well.
    if len.saturating_add(len / 256) > free {
        return Err(exhausted(len, free, &bound));
    }
    // Relaxed: both words are hints of this process alone.
    CREDIT.store(((free - len) / 16).min(LARGEST_CREDIT), Relaxed);
    CREDIT_ENDS.store(now_ns() + CREDIT_LASTS_NS, Relaxed);
    Ok(())
}

fn spend_credit(len: u64) -> bool {
    let spend = |credit: u64| credit.checked_sub(len);
    // Relaxed, as above.
    now_ns() < CREDIT_ENDS.load(Relaxed) && CREDIT.fetch_update(Relaxed, Relaxed, spend).is_ok()
}

#[cold]
fn exhausted(len: u64, free: u64, bound: &str) -> Error {
    Error::new(
        ErrorKind::NoSpace,
        format!(
            "cannot allocate {} of shared memory: {bound} leaves {}; raise that limit or ask for less",
            Size(len),
            Size(free)
        ),
    )
}

/// The least memory that any limit leaves, and which limit it is.
fn tightest() -> (u64, String) {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap = kilobytes(&meminfo, "SwapFree:").unwrap_or(0);
    let machine = kilobytes(&meminfo, "MemAvailable:").map_or(u64::MAX, |ram| ram + swap);
    let mut least = (machine, String::from("the machine's memory"));
    for group in GROUPS.get_or_init(my_groups) {
        let free = group.free(swap, least.0);
        if free < least.0 {
            least = (free, format!("the memory limit of {}", group.dir.display()));
        }
    }
    least
}

/// A line of `/proc/meminfo` in bytes.
fn kilobytes(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// The names that the two versions of control groups give to the same facts.
#[derive(Debug)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Prefix of the hierarchical counters in `memory.stat`.
    total: &'static str,
    swap_limit: &'static str,
    swap_usage: &'static str,
}

static V2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    total: "",
    swap_limit: "memory.swap.max",
    swap_usage: "memory.swap.current",
};

/// Version 1 counts swap together with memory; what it allows of it is not worth the arithmetic.
static V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    total: "total_",
    swap_limit: "",
    swap_usage: "",
};

/// Version 1 says "no limit" by a number near the greatest, rounded to pages.
const NO_LIMIT: u64 = 1 << 62;

/// One control group that counts this process's memory.
#[derive(Debug)]
struct Group {
    dir: PathBuf,
    files: &'static Files,
}

impl Group {
    /// What the group may still take; file cache counts as free because the kernel drops it first.
    ///
    /// Less than that when it is `enough` anyway: the counters of the cache take the kernel long to add up.
    fn free(&self, machine_swap: u64, enough: u64) -> u64 {
        let number = |file| self.number(file);
        let limit = number(self.files.limit).filter(|&limit| limit < NO_LIMIT);
        let usage = limit.and_then(|_| number(self.files.usage));
        let (Some(limit), Some(usage)) = (limit, usage) else {
            return u64::MAX; // "max", the root group, or a file we may not read
        };
        let unused = limit.saturating_sub(usage);
        if unused >= enough {
            return unused;
        }
        unused
            .saturating_add(self.cache())
            .saturating_add(self.swap().min(machine_swap))
    }

    fn cache(&self) -> u64 {
        let stat = fs::read_to_string(self.dir.join("memory.stat")).unwrap_or_default();
        let of = |key: &str| {
            let line = stat.lines().find_map(|line| {
                let line = line.strip_prefix(self.files.total)?;
                line.strip_prefix(key)?.strip_prefix(' ')
            });
            line.and_then(|number| number.parse().ok()).unwrap_or(0_u64)
        };
        of("inactive_file") + of("active_file")
    }

    fn swap(&self) -> u64 {
        if self.files.swap_limit.is_empty() {
            return 0;
        }
        let limit = self.number(self.files.swap_limit).unwrap_or(u64::MAX);
        limit.saturating_sub(self.number(self.files.swap_usage).unwrap_or(0))
    }

    fn number(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.dir.join(file)).ok()?;
        text.trim().parse().ok()
    }
}

/// This process's memory group and all its ancestors. Looked up once: processes rarely move.
fn my_groups() -> Vec<Group> {
    let mine = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut groups = Vec::new();
    for line in mine.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let files = match controllers {
            "" => &V2,
            list if list.split(',').any(|name| name == "memory") => &V1,
            _ => continue,
        };
        if let Some((top, dir)) = locate(&mounts, path, files) {
            groups.extend(ancestry(&top, &dir, files));
        }
    }
    groups
}

/// Where the hierarchy is mounted, and where in it the group `path` is.
fn locate(mounts: &str, path: &str, files: &Files) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let kind = back.next()?;
        let options = back.nth(1)?;
        let right = match files.limit == V2.limit {
            true => kind == "cgroup2",
            false => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
        };
        let mut front = front.split(' ').skip(3);
        let (root, top) = (front.next()?, PathBuf::from(front.next()?));
        // A bind mount of a part of the tree shows paths relative to that part.
        let inside = Path::new(path).strip_prefix(root).ok()?;
        right.then(|| (top.clone(), top.join(inside)))
    })
}

fn ancestry(top: &Path, dir: &Path, files: &'static Files) -> Vec<Group> {
    dir.ancestors()
        .take_while(|dir| dir.starts_with(top))
        .map(|dir| Group {
            dir: dir.to_owned(),
            files,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &'static Files, contents: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in contents {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let group = Group {
            dir: dir.path().to_owned(),
            files,
        };
        (dir, group)
    }

    #[test]
    fn a_limited_group_has_what_is_unused_or_reclaimable() {
        let (_dir, group) = group(
            &V2,
            &[
                ("memory.max", "1000\n"),
                ("memory.current", "900\n"),
                ("memory.stat", "anon 5\ninactive_file 30\nactive_file 20\n"),
                ("memory.swap.max", "0\n"),
            ],
        );
        assert_eq!(group.free(1 << 30, u64::MAX), 150);
    }

    #[test]
    fn swap_counts_as_far_as_the_machine_has_it() {
        let (_dir, group) = group(
            &V2,
            &[
                ("memory.max", "1000\n"),
                ("memory.current", "1000\n"),
                ("memory.swap.max", "max\n"),
            ],
        );
        assert_eq!(group.free(77, u64::MAX), 77);
    }

    #[test]
    fn an_unlimited_or_unreadable_group_is_no_limit() {
        let (_dir, unlimited) = group(&V2, &[("memory.max", "max\n"), ("memory.current", "9\n")]);
        assert_eq!(unlimited.free(0, u64::MAX), u64::MAX);
        let (_dir, empty) = group(&V2, &[]);
        assert_eq!(empty.free(0, u64::MAX), u64::MAX);
    }

    #[test]
    fn version_one_reads_hierarchical_counters() {
        let (_dir, group) = group(
            &V1,
            &[
                ("memory.limit_in_bytes", "1000\n"),
                ("memory.usage_in_bytes", "400\n"),
                (
                    "memory.stat",
                    "inactive_file 9\ntotal_inactive_file 7\ntotal_active_file 1\n",
                ),
            ],
        );
        assert_eq!(group.free(1 << 30, u64::MAX), 608);
    }

    #[test]
    fn groups_are_found_behind_their_mounts() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      38 31 0:35 /box /sys/fs/cgroup/unified rw,x - cgroup2 cgroup2 rw\n";
        let (top, dir) = locate(mounts, "/a/b", &V1).unwrap();
        assert_eq!(dir, Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(ancestry(&top, &dir, &V1).len(), 3);
        let (_, dir) = locate(mounts, "/box/a", &V2).unwrap();
        assert_eq!(dir, Path::new("/sys/fs/cgroup/unified/a"));
        assert_eq!(locate(mounts, "/elsewhere", &V2), None);
    }

    #[test]
    fn meminfo_lines_are_kilobytes() {
        let text = "MemTotal: 10 kB\nMemAvailable:    2 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(2048));
        assert_eq!(kilobytes(text, "SwapFree:"), None);
    }
}
