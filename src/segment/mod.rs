//! Floor 2: rooms in memory. The only place that turns bytes into references.
