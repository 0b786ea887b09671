//! Floor 5: values to bytes and back, in place.
