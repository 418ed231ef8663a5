//! How much of a dump is written and read: more is an error, not an out-of-memory.

/// Bytes of a file.
pub(super) const BYTES: usize = 1 << 30;
/// Bytes that are unpacked of a packed one.
pub(super) const UNPACKED: usize = 1 << 28;
/// Goroutines of a dump. (A Go process with as many takes 16 GiB for their stacks alone.)
pub(super) const GOROUTINES: usize = 8_000_000;
/// What a profile may count all together: sums of it fit into any number.
pub(super) const COUNT: u64 = 1 << 40;
/// Frames of a stack.
pub(super) const FRAMES: usize = 100_000;
/// Frames that are looked at for all stacks of a dump.
pub(super) const FRAMES_READ: usize = 200_000_000;
/// Frames that are kept: those of stacks that differ.
pub(super) const FRAMES_KEPT: usize = 16_000_000;
/// Bytes of one record of a profile: a sample, a location.
pub(super) const RECORD: usize = 1 << 24;
/// Frames of a stack that a flame graph shows: half from each end.
pub(super) const FLAMES: usize = 256;
/// Comments of a profile, with what is packed into one list at most.
pub(super) const COMMENTS: usize = 1000;
