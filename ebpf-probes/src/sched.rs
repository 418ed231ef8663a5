//! What the kernel's scheduler does with the threads of watched processes.

use crate::{buckets::BUCKETS, plain};

/// Name of the array of [`SchedCounts`], indexed by slot.
pub const SCHED: &str = "SCHED";
/// Name of the map from thread id to [`ThreadState`].
pub const THREADS: &str = "THREADS";
/// Name of the read-only [`TaskLayout`].
pub const TASK_LAYOUT: &str = "TASK_LAYOUT";

/// Counters of one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedCounts {
    /// Run-queue delays by [`crate::buckets::bucket`].
    pub delay_buckets: [u64; BUCKETS],
    /// Sum of the run-queue delays, in nanoseconds.
    pub delay_sum: u64,
    /// Switches away from a thread that gave up the CPU of itself.
    pub voluntary: u64,
    /// Switches away from a thread that could have gone on.
    pub preempted: u64,
    /// Zero.
    pub reserved: u64,
}
const _: () = assert!(size_of::<SchedCounts>() == (BUCKETS + 4) * 8);

impl Default for SchedCounts {
    fn default() -> Self {
        Self { delay_buckets: [0; BUCKETS], delay_sum: 0, voluntary: 0, preempted: 0, reserved: 0 }
    }
}

/// One followed thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadState {
    /// When the thread became runnable, in nanoseconds of `CLOCK_MONOTONIC`; 0 while it runs or
    /// sleeps.
    pub runnable_since: u64,
    /// `task_struct.nvcsw` at its last switch; [`ThreadState::UNKNOWN`] before the first.
    pub nvcsw: u64,
    /// Slot of its process.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<ThreadState>() == 24);

impl ThreadState {
    /// Value of [`ThreadState::nvcsw`] for a thread that has not been switched yet.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// Offsets in the running kernel's `task_struct` and `signal_struct`, from its BTF; constants for
/// the verifier, set before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskLayout {
    /// `task_struct.pid`
    pub pid: u32,
    /// `task_struct.tgid`
    pub tgid: u32,
    /// `task_struct.__state` (`state` before Linux 5.14, of eight bytes, of which four are read)
    pub state: u32,
    /// `task_struct.nvcsw`
    pub nvcsw: u32,
    /// `task_struct.signal`
    pub signal: u32,
    /// `signal_struct.live` (its `counter`)
    pub signal_live: u32,
    /// 1 where `sched_switch` hands over the previous state as fourth argument (Linux 5.18).
    pub switch_has_state: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<TaskLayout>() == 32);

plain!(SchedCounts, ThreadState, TaskLayout);
