//! A trace: what goroutines, processors and threads did for a while, and where the time went that
//! goroutines were kept waiting.
//!
//! Pure: records in, slices and sums out. Two things keep a goroutine waiting that could run:
//!
//! - **Go's run queue.** From runnable to running, no thread had taken it. More processors
//!   (`GOMAXPROCS`) help where CPUs are idle, shorter turns of the others where they are not.
//! - **Its thread waits for a CPU.** While the goroutine runs in Go's eyes, its thread is runnable
//!   and on no CPU; and, within the time in the queue, the thread that took it in the end was: it
//!   was woken for it, or ran others before, and the kernel let it wait. More CPU (a limit, an
//!   affinity, a neighbour) helps.
//!
//! What a record that is missing leaves open is unknown, and counts for neither.

mod thread;
mod goroutine;
mod processor;
mod split;
mod advice;

pub use self::{
    advice::{Advice, Host, advise},
    goroutine::{Doing, GoroutineSlice, GoroutineTrack},
    processor::{ProcessorSlice, ProcessorTrack},
    split::{Split, Totals},
    thread::{ThreadSlice, ThreadState, ThreadTrack},
};

use crate::probe::TraceRecord;

/// From when to when it was traced, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The begin.
    pub begin: u64,
    /// The end.
    pub end: u64,
}

impl Window {
    /// How long it is.
    #[must_use]
    pub fn length(self) -> u64 {
        self.end.saturating_sub(self.begin)
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// From when to when.
    pub window: Window,
    /// Goroutines that did anything, by their numbers.
    pub goroutines: Vec<GoroutineTrack>,
    /// Processors that ran any.
    pub processors: Vec<ProcessorTrack>,
    /// Threads that did anything.
    pub threads: Vec<ThreadTrack>,
}

impl Trace {
    /// Makes a trace of records, in whatever order they came. What lies outside the window is cut.
    #[must_use]
    pub fn new(mut records: Vec<TraceRecord>, window: Window) -> Self {
        records.retain(|record| (window.begin..=window.end).contains(&record.at()));
        // Those of one moment stay in the order in which they were written.
        records.sort_by_key(TraceRecord::at);
        let threads = thread::tracks(&records, window);
        let processors = processor::tracks(&records, window);
        let goroutines = goroutine::tracks(&records, window, &threads);
        Self { window, goroutines, processors, threads }
    }

    /// All goroutines' splits, and what the threads did, summed up.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::of(self)
    }
}

#[cfg(test)]
mod tests;
