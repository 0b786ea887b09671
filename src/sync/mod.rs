//! Floor 3: protocols on words, without a type and without a name.
