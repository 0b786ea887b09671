//! Floor 4: who holds what, and cleaning up after the dead.
