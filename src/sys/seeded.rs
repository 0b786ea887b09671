//! Seeded bugs: deliberate faults that the test suite must catch, absent from every ordinary build.
//!
//! Built with `--cfg seeded_bugs`, one of them is chosen by the environment variable `MULTIPROC_SEEDED_BUG`.

/// Whether the seeded bug `name` is switched on; constant `false` without `--cfg seeded_bugs`.
#[inline(always)]
pub(crate) fn seeded(name: &'static str) -> bool {
    #[cfg(seeded_bugs)]
    {
        static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| std::env::var("MULTIPROC_SEEDED_BUG").ok());
        chosen.as_deref() == Some(name)
    }
    #[cfg(not(seeded_bugs))]
    {
        let _ = name;
        false
    }
}
