//! Events that the kernel side sends to the agent: processes that start, exec and end.

use crate::{goroutine::GoroutineCounts, plain};

/// Name of the ring buffer of [`Event`]s.
pub const EVENTS: &str = "EVENTS";

/// A process has a new image.
pub const KIND_EXEC: u32 = 1;
/// A process that had a slot is gone.
pub const KIND_EXIT: u32 = 2;
/// A probe was hit by a process that the agent has not seen yet; it has a slot now.
pub const KIND_NEW: u32 = 3;

/// A process has run into the probes as often as its allowance said.
pub const KIND_SPENT: u32 = 4;

/// Value of [`Event::slot`] where the process had none.
pub const NO_SLOT: u32 = u32::MAX;

/// One event of [`EVENTS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// [`KIND_EXEC`], [`KIND_EXIT`], [`KIND_NEW`] or [`KIND_SPENT`].
    pub kind: u32,
    /// Thread-group id, the kernel's own.
    pub tgid: u32,
    /// Thread-group id in the agent's pid namespace; 0 where it is not in it, and for
    /// [`KIND_NEW`] and [`KIND_SPENT`].
    pub visible_tgid: u32,
    /// Zero.
    pub reserved: u32,
    /// The slot that the process had ([`NO_SLOT`] for none); it is the agent's to free now,
    /// but for [`KIND_NEW`] and [`KIND_SPENT`].
    pub slot: u32,
    /// The binary of the slot, 0 for none.
    pub binary: u32,
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub at: u64,
    /// The last counters of the slot.
    pub counts: GoroutineCounts,
    /// `task_struct.comm`.
    pub comm: [u8; 16],
}
const _: () = assert!(size_of::<Event>() == 80);

plain!(Event);
