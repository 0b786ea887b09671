//! Floor 3: protocols on slots, without a type and without a name.
