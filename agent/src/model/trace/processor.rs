//! Processors (`P`): which goroutine each runs.

use std::collections::BTreeMap;

use super::Window;
use crate::probe::TraceRecord;

/// A stretch of time in which a processor runs one goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorSlice {
    /// Its begin.
    pub start: u64,
    /// Its end.
    pub end: u64,
    /// The goroutine's number.
    pub goid: u64,
    /// The thread.
    pub tid: u32,
}

/// What one processor did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorTrack {
    /// Its number.
    pub id: i32,
    /// In order; in between it was idle, or what it did is not known.
    pub slices: Vec<ProcessorSlice>,
}

impl ProcessorTrack {
    /// How long it ran goroutines.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.slices.iter().map(|slice| slice.end.saturating_sub(slice.start)).sum()
    }
}

/// The tracks of all processors.
///
/// A goroutine leaves its processor with its status `running`. In a system call that is not seen
/// (from Go 1.26 on) the processor may be taken from it; it shows when it runs another.
pub(super) fn tracks(records: &[TraceRecord], window: Window) -> Vec<ProcessorTrack> {
    const RUNNING: u8 = 2;
    let mut tracks: BTreeMap<i32, Vec<ProcessorSlice>> = BTreeMap::new();
    // What each runs, with the address of its record.
    let mut open: BTreeMap<i32, (u64, ProcessorSlice)> = BTreeMap::new();
    let mut close = |id: i32, slice: ProcessorSlice, end: u64| {
        if slice.start < end {
            tracks.entry(id).or_default().push(ProcessorSlice { end, ..slice });
        }
    };
    for record in records {
        let TraceRecord::Transition(record) = record else { continue };
        if record.old == RUNNING {
            let left: Vec<i32> =
                open.iter().filter(|(_, (g, _))| *g == record.g).map(|(id, _)| *id).collect();
            for id in left {
                if let Some((_, slice)) = open.remove(&id) {
                    close(id, slice, record.at);
                }
            }
        }
        if record.new == RUNNING && record.processor >= 0 {
            let (start, end, goid, tid) = (record.at, record.at, record.goid, record.tid);
            let slice = ProcessorSlice { start, end, goid, tid };
            if let Some((_, before)) = open.insert(record.processor, (record.g, slice)) {
                close(record.processor, before, record.at);
            }
        }
    }
    for (id, (_, slice)) in open {
        close(id, slice, window.end);
    }
    tracks.into_iter().map(|(id, slices)| ProcessorTrack { id, slices }).collect()
}
