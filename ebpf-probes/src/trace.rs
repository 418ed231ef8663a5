//! What a trace records: each change of a goroutine's status, and what the kernel's scheduler does
//! with the threads of one process.

use crate::plain;

/// Name of the ring buffer of [`Transition`]s, [`Switch`]es and [`Wakeup`]s.
pub const TRACE: &str = "TRACE";
/// Name of the array with the process that is traced (`u32`, one element): its thread-group id, the
/// kernel's own, or 0 while none is.
pub const TRACED: &str = "TRACED";
/// Name of the array of [`TraceLosses`] (one element).
pub const TRACE_LOSSES: &str = "TRACE_LOSSES";
/// Name of the read-only [`TraceLayout`].
pub const TRACE_LAYOUT: &str = "TRACE_LAYOUT";

/// Bytes of the ring buffer where nothing else is asked for: a power of two and a multiple of the
/// page size.
pub const DEFAULT_TRACE_BYTES: u32 = 16 << 20;

/// [`Transition::kind`]
pub const KIND_TRANSITION: u32 = 1;
/// [`Switch::kind`]
pub const KIND_SWITCH: u32 = 2;
/// [`Wakeup::kind`]
pub const KIND_WAKEUP: u32 = 3;
/// [`Wakeup::kind`] of a thread that is born.
pub const KIND_WAKEUP_NEW: u32 = 4;

/// [`Switch::flags`]: the thread that left the CPU could have gone on.
pub const SWITCH_PREEMPTED: u32 = 1;
/// [`Switch::flags`]: the thread that left the CPU has ended.
pub const SWITCH_DEAD: u32 = 2;

/// Offsets in the runtime's records of the process that is traced; constants for the verifier, set
/// before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceLayout {
    /// `g.goid`
    pub goid: u32,
    /// `g.waitreason`
    pub waitreason: u32,
    /// `g.startpc`
    pub startpc: u32,
    /// `g.m`
    pub g_m: u32,
    /// `m.p`
    pub m_p: u32,
    /// `p.id`
    pub p_id: u32,
}
const _: () = assert!(size_of::<TraceLayout>() == 24);

/// A goroutine changes its status. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// [`KIND_TRANSITION`]
    pub kind: u32,
    /// The thread that makes the change, by the kernel's id: the goroutine's own, or that of who
    /// wakes it.
    pub tid: u32,
    /// When.
    pub at: u64,
    /// Address of its `runtime.g`, which is used again after its end.
    pub g: u64,
    /// Its number; at its birth, up to Go 1.21 or so, that of the one before it in the same record.
    pub goid: u64,
    /// At its birth the entry of its function, else 0.
    pub startpc: u64,
    /// The processor of the thread, where it begins to run; else, or where there is none, -1.
    pub processor: i32,
    /// Status before, as in `runtime2.go` (`_Gidle` and following).
    pub old: u8,
    /// Status after.
    pub new: u8,
    /// `g.waitreason`, where one of the two is `_Gwaiting`; else 0.
    pub reason: u8,
    /// Zero.
    pub reserved: u8,
}
const _: () = assert!(size_of::<Transition>() == 48);

/// A CPU goes from one thread to another, one of which at least is of the process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// [`KIND_SWITCH`]
    pub kind: u32,
    /// The CPU.
    pub cpu: u32,
    /// When.
    pub at: u64,
    /// The thread that leaves; 0 where it is not of the process.
    pub prev: u32,
    /// The thread that comes; 0 where it is not of the process.
    pub next: u32,
    /// [`SWITCH_PREEMPTED`], [`SWITCH_DEAD`]
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<Switch>() == 32);

/// A thread wants a CPU from now on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wakeup {
    /// [`KIND_WAKEUP`] or [`KIND_WAKEUP_NEW`]
    pub kind: u32,
    /// The thread.
    pub tid: u32,
    /// When.
    pub at: u64,
}
const _: () = assert!(size_of::<Wakeup>() == 16);

/// Records that did not fit into the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceLosses {
    /// [`Transition`]s.
    pub goroutines: u64,
    /// [`Switch`]es and [`Wakeup`]s.
    pub threads: u64,
}
const _: () = assert!(size_of::<TraceLosses>() == 16);

plain!(TraceLayout, TraceLosses);
