//! What is known of the processor beyond its architecture.

use std::sync::OnceLock;

/// Whether the next writer of a line gets it sooner from a reader who has written it than from one who has only read it.
///
/// So it is on AMD's processors (measured on Zen 4). A line that two cores share for reading has to be upgraded before
/// it can be written, which takes some 16 ns that neither a prefetch nor the order of the stores hides; a line that the
/// reader has written moves as a whole. Intel's fetch ahead for writing too, and have not been measured.
pub(crate) fn prefers_written_lines() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| matches!(&vendor(), b"AuthenticAMD" | b"HygonGenuine"))
}

/// Asks for the line at `place`, which will be read: a hint, harmless at any address.
#[inline(always)]
pub(crate) fn fetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction ignores addresses that are not mapped, and changes nothing but caches.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Asks for the line at `place`, which will be written: a hint, harmless at any address.
///
/// For a line that others read as well. A processor asks early for a line that it does not have when it sees the store to it;
/// for one that it shares it asks when the stores before that one are done, so that two lines take twice as long.
#[inline(always)]
pub(crate) fn fetch_to_write(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction ignores addresses that are not mapped, and changes nothing but caches.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(target_arch = "x86_64")]
fn vendor() -> [u8; 12] {
    #[allow(
        unused_unsafe,
        reason = "newer compilers know that every x86-64 has it"
    )]
    // SAFETY: every x86-64 processor has the instruction.
    let answer = unsafe { std::arch::x86_64::__cpuid(0) };
    let words = [answer.ebx, answer.edx, answer.ecx].map(u32::to_le_bytes);
    std::array::from_fn(|byte| words[byte / 4][byte % 4])
}

#[cfg(not(target_arch = "x86_64"))]
fn vendor() -> [u8; 12] {
    [0; 12]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_vendor_is_what_the_kernel_says() {
        let known = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let line = known.lines().find(|line| line.starts_with("vendor_id"));
        let name = line.and_then(|line| line.split(": ").nth(1)).unwrap();
        assert_eq!(vendor(), *name.as_bytes());
        assert_eq!(
            prefers_written_lines(),
            name == "AuthenticAMD" || name == "HygonGenuine"
        );
    }
}
