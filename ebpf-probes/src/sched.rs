//! What the kernel's scheduler does with the threads of watched processes.

use crate::{buckets::BUCKETS, plain};

/// Name of the array of [`SchedCounts`], indexed by slot.
pub const SCHED: &str = "SCHED";
/// Name of the map from thread id to [`ThreadState`].
pub const THREADS: &str = "THREADS";
/// Name of the array of bits, one for each thread id: set while the thread is in [`THREADS`].
pub const FOLLOWED: &str = "FOLLOWED";
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
    /// `task_struct.sched_info.run_delay` when it last left the CPU, in nanoseconds: the delays up
    /// to there are counted. [`ThreadState::UNKNOWN`] before the first time.
    pub run_delay: u64,
    /// `task_struct.nvcsw` then.
    pub nvcsw: u64,
    /// `task_struct.nivcsw` then.
    pub nivcsw: u64,
    /// Slot of its process.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<ThreadState>() == 32);

impl ThreadState {
    /// Value of [`ThreadState::run_delay`] for a thread that was taken on while it lived.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// The thread that a CPU runs, if it is followed; one for each CPU, for the kernel's side only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Thread id; 0 where the CPU runs no followed thread.
    pub pid: u32,
    /// Zero.
    pub reserved: u32,
    /// Its `task_struct.nvcsw` when it got the CPU.
    pub nvcsw: u64,
}
const _: () = assert!(size_of::<Running>() == 16);

/// Offsets in the running kernel's structures, from its BTF; constants for the verifier, set before
/// the programs are loaded.
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
    /// `task_struct.nivcsw`
    pub nivcsw: u32,
    /// `task_struct.sched_info.run_delay`
    pub run_delay: u32,
    /// `task_struct.signal`
    pub signal: u32,
    /// `signal_struct.live` (its `counter`)
    pub signal_live: u32,
    /// 1 where `sched_switch` hands over the previous state as fourth argument (Linux 5.18).
    pub switch_has_state: u32,
    /// Number of the agent's pid namespace; 0 where that is the host's own, so that ids need no
    /// translation.
    pub namespace: u32,
    /// `task_struct.thread_pid`
    pub thread_pid: u32,
    /// `signal_struct.pids[PIDTYPE_TGID]`
    pub signal_tgid: u32,
    /// `pid.level`
    pub pid_level: u32,
    /// `pid.numbers`
    pub pid_numbers: u32,
    /// `upid.nr`
    pub upid_nr: u32,
    /// `upid.ns`
    pub upid_ns: u32,
    /// `pid_namespace.ns.inum`
    pub namespace_inum: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<TaskLayout>() == 72);

plain!(SchedCounts, ThreadState, TaskLayout);
