//! Floor 7: who runs.
