//! How much of a dump is written and read: more is an error, not an out-of-memory.

/// Goroutines of a dump. (A Go process with as many takes 16 GiB for their stacks alone.)
pub(super) const GOROUTINES: usize = 8_000_000;
