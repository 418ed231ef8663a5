//! Records that the kernel programs and the agent share: each is defined once, here.
//!
//! Every record is `repr(C)`, has fixed widths, no implicit padding, and its size is asserted, so
//! that both sides agree on every byte whatever compiled them.
#![no_std]

pub mod buckets;
pub mod event;
pub mod goroutine;
pub mod ids;
pub mod process;
pub mod sched;
pub mod trace;

/// Default number of processes that can be watched at once ([`process::TGIDS`] and the arrays
/// indexed by slot).
pub const DEFAULT_MAX_PROCESSES: u32 = 4096;
/// Default number of (process, creation site) pairs that are counted at once.
pub const DEFAULT_MAX_SITES: u32 = 32_768;
/// Default number of threads of watched processes that are followed at once.
pub const DEFAULT_MAX_THREADS: u32 = 32_768;
/// Bytes of the ring buffer for [`event::Event`]s: a power of two and a multiple of the page size.
pub const EVENT_RING_BYTES: u32 = 256 * 1024;

/// Implements the marker that aya asks of map keys and values, where aya is there (user side).
macro_rules! plain {
    ($($record:ty),+ $(,)?) => {
        $(
            #[cfg(feature = "user")]
            // SAFETY: the record is `repr(C)`, made of integers only, and has no implicit padding
            // (its size is asserted beside its definition), so every bit pattern is valid.
            unsafe impl aya::Pod for $record {}
        )+
    };
}
pub(crate) use plain;
