//! Births and deaths of goroutines.

use crate::plain;

/// Name of the array of [`GoroutineCounts`], indexed by slot.
pub const GOROUTINES: &str = "GOROUTINES";
/// Name of the array of allowances (`u64`), indexed by slot: the number of births and deaths at
/// which the agent wants to be told, 0 for never. The agent writes it, and the kernel side sets it
/// to 0 when it has told.
pub const ALLOWANCES: &str = "ALLOWANCES";
/// Name of the map from [`SiteKey`] to [`SiteCounts`].
pub const SITES: &str = "SITES";

/// Counters of one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoroutineCounts {
    /// Goroutines born since the probes came.
    pub created: u64,
    /// Goroutines that ended since the probes came.
    pub exited: u64,
    /// Births and deaths that are in the counters above but in no site, for want of room.
    pub site_losses: u64,
    /// Deaths whose creation site could not be read from the target's memory.
    pub unreadable: u64,
}
const _: () = assert!(size_of::<GoroutineCounts>() == 32);

/// A creation site within a process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteKey {
    /// Return address of the `go` statement's call, as `g.gopc` has it (address in the process).
    pub gopc: u64,
    /// Entry of the function started, as `g.startpc` has it (address in the process).
    pub startpc: u64,
    /// Slot of the process.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<SiteKey>() == 24);

/// Counters of one creation site.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteCounts {
    /// Goroutines born there.
    pub created: u64,
    /// Goroutines born there that ended.
    pub exited: u64,
}
const _: () = assert!(size_of::<SiteCounts>() == 16);

plain!(GoroutineCounts, SiteKey, SiteCounts);
