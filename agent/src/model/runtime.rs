//! What the Go runtime of a process says of itself.

use std::sync::Arc;

pub use crate::read::{Counts, Gc, Heap, HeapGoal, State, TimeHistogram};

/// What the Go runtime of a process says of itself, at the moment of the snapshot but for
/// [`Runtime::table`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Goroutines, threads and processors.
    pub counts: Counts,
    /// How long goroutines that could run waited until they did, since the process started.
    pub sched_delay: Option<TimeHistogram>,
    /// The collector.
    pub gc: Option<Gc>,
    /// The collector's view of the heap.
    pub heap_goal: Option<HeapGoal>,
    /// The heap.
    pub heap: Option<Heap>,
    /// What the last look at all goroutines found; `None` before the first.
    pub table: Option<Arc<GoroutineTable>>,
    /// All looks so far.
    pub scans: Scans,
}

/// What a look at all goroutines found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GoroutineTable {
    /// When it began, in seconds since the Unix epoch.
    pub taken_at: f64,
    /// CPU time that it took the agent, in seconds.
    pub cpu_seconds: f64,
    /// The program's goroutines by state; every state is there.
    pub by_state: Vec<(State, u64)>,
    /// Those of them that wait, by the runtime's own word for what they wait for.
    pub by_reason: Vec<(Arc<str>, u64)>,
    /// The program's goroutines.
    pub user: u64,
    /// The runtime's own goroutines.
    pub system: u64,
}

impl Eq for GoroutineTable {}

/// All looks at the goroutines of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scans {
    /// Looks that came to their end.
    pub done: u64,
    /// Looks that were given up.
    pub failed: u64,
    /// Records that were caught half written, and read again.
    pub torn: u64,
    /// Records that could not be read, or made no sense twice.
    pub unreadable: u64,
}
