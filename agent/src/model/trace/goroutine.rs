//! Goroutines: runnable, running, waiting.
//!
//! The statuses are those of
//! <https://github.com/golang/go/blob/go1.26.6/src/runtime/runtime2.go> (`_Gidle` and following).
//! Not every change is seen (see the kernel's side, `casgstatus.rs`), so what a record says of the
//! status before is compared with what was known.

use std::collections::HashMap;

use goroscope_ebpf_probes::trace::Transition;

use super::{Split, ThreadTrack, Window};
use crate::probe::TraceRecord;

/// What a goroutine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is in a run queue.
    Runnable,
    /// It runs; from Go 1.26 on also while it is in a system call.
    Running,
    /// It is in a system call, or in C (up to Go 1.25).
    Syscall,
    /// It waits; the number is the runtime's for what.
    Waiting(u8),
    /// It was stopped for a scan of its stack; since when exactly is not known.
    Preempted,
    /// A record is missing.
    Unknown,
}

impl Doing {
    /// By the status's number; `None` where there is no goroutine.
    fn of(status: u8, reason: u8) -> Option<Self> {
        match status {
            1 => Some(Self::Runnable),
            2 => Some(Self::Running),
            3 => Some(Self::Syscall),
            // Those that the runtime found to leak wait as before.
            4 | 10 => Some(Self::Waiting(reason)),
            9 => Some(Self::Preempted),
            _ => None,
        }
    }

    /// The same status, whatever it waits for.
    fn is_like(self, other: Self) -> bool {
        matches!((self, other), (Self::Waiting(_), Self::Waiting(_))) || self == other
    }

    /// It has a thread.
    fn has_thread(self) -> bool {
        matches!(self, Self::Running | Self::Syscall)
    }
}

/// A stretch of time in which a goroutine does one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoroutineSlice {
    /// Its begin.
    pub start: u64,
    /// Its end.
    pub end: u64,
    /// What it does.
    pub doing: Doing,
    /// The thread that it has, or, while it is runnable, the one that took it in the end; 0 where
    /// there is none.
    pub tid: u32,
    /// The processor on which it runs; -1 where that is not known.
    pub processor: i32,
    /// Of a runnable one: the goroutine that made it so; 0 where it was none (a timer, the network,
    /// a preemption).
    pub woken_by: u64,
    /// It waits, but the thread stays with it and works for it (the collector's assistance, a stop
    /// of the world).
    pub keeps_thread: bool,
}

/// What one goroutine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoroutineTrack {
    /// Its number; 0 where it is not known: it was born at the end of the trace.
    pub goid: u64,
    /// Entry of its function, where it was born within the trace; else 0.
    pub startpc: u64,
    /// One behind the other, in order.
    pub slices: Vec<GoroutineSlice>,
    /// Where the time went that it was kept waiting.
    pub split: Split,
}

/// A goroutine while the records are gone through.
struct Goroutine {
    goid: u64,
    startpc: u64,
    slices: Vec<GoroutineSlice>,
    now: GoroutineSlice,
    /// When its thread was seen to run another one.
    displaced: Option<u64>,
}

impl Goroutine {
    /// Ends what it does. `old` is what the record says that it did.
    fn close(&mut self, record: &Transition, old: Doing) {
        let mut closed = GoroutineSlice { end: record.at, ..self.now };
        if !closed.doing.is_like(old) {
            closed.doing = match (closed.doing, old) {
                // Stopped for a scan of its stack; it left its thread when that took another one.
                (Doing::Running, Doing::Waiting(_) | Doing::Preempted) => {
                    let left = self.displaced.unwrap_or(record.at).max(closed.start);
                    self.push(GoroutineSlice { end: left, ..closed });
                    closed = GoroutineSlice { start: left, tid: 0, processor: -1, ..closed };
                    Doing::Preempted
                }
                // A coroutine that was switched to: when is not known, until then it waited.
                (Doing::Waiting(reason), Doing::Running) => Doing::Waiting(reason),
                (Doing::Preempted, Doing::Waiting(_)) => Doing::Preempted,
                _ => Doing::Unknown,
            };
        }
        let runs_on = record.new == 2 && matches!(closed.doing, Doing::Waiting(_));
        closed.keeps_thread = runs_on && closed.tid == record.tid;
        if closed.doing == Doing::Runnable && record.new == 2 {
            closed.tid = record.tid;
        }
        self.push(closed);
        // What begins now its maker says; where it ends, this is nothing.
        self.now.start = record.at;
    }

    fn push(&mut self, slice: GoroutineSlice) {
        if slice.start < slice.end {
            self.slices.push(slice);
        }
    }

    fn finish(mut self, end: u64, threads: &HashMap<u32, &ThreadTrack>) -> GoroutineTrack {
        let last = GoroutineSlice { end, ..self.now };
        match self.displaced {
            Some(left) if last.doing.has_thread() => {
                let left = left.max(last.start);
                self.push(GoroutineSlice { end: left, ..last });
                self.push(GoroutineSlice { start: left, doing: Doing::Unknown, tid: 0, ..last });
            }
            _ => self.push(last),
        }
        let split = Split::of(&self.slices, threads);
        GoroutineTrack { goid: self.goid, startpc: self.startpc, slices: self.slices, split }
    }
}

/// The tracks of all goroutines.
pub(super) fn tracks(
    records: &[TraceRecord],
    window: Window,
    threads: &[ThreadTrack],
) -> Vec<GoroutineTrack> {
    let threads: HashMap<u32, &ThreadTrack> =
        threads.iter().map(|track| (track.tid, track)).collect();
    // By the address of their records.
    let mut live: HashMap<u64, Goroutine> = HashMap::new();
    // What runs on each thread.
    let mut on_thread: HashMap<u32, u64> = HashMap::new();
    let mut tracks = Vec::new();
    for record in records {
        let TraceRecord::Transition(record) = record else { continue };
        let old = Doing::of(record.old, record.reason);
        if let Some(old) = old {
            let goroutine = live.entry(record.g).or_insert_with(|| Goroutine {
                goid: record.goid,
                startpc: 0,
                slices: Vec::new(),
                now: GoroutineSlice {
                    start: window.begin,
                    end: window.begin,
                    doing: old,
                    tid: if old.has_thread() { record.tid } else { 0 },
                    processor: -1,
                    woken_by: 0,
                    keeps_thread: false,
                },
                displaced: None,
            });
            // At its birth it had no number yet.
            goroutine.goid = record.goid;
            goroutine.close(record, old);
        } else if let Some(before) = live.remove(&record.g) {
            // Its end was lost.
            tracks.push(before.finish(record.at, &threads));
        }
        let Some(doing) = Doing::of(record.new, record.reason) else {
            if let Some(ended) = live.remove(&record.g) {
                tracks.push(ended.finish(record.at, &threads));
            }
            if on_thread.get(&record.tid) == Some(&record.g) {
                on_thread.remove(&record.tid);
            }
            continue;
        };
        let waker = on_thread.get(&record.tid).copied().filter(|&waker| waker != record.g);
        let woken_by = match (doing, old) {
            (Doing::Runnable, Some(Doing::Waiting(_)) | None) => {
                waker.and_then(|waker| live.get(&waker)).map_or(0, |waker| waker.goid)
            }
            _ => 0,
        };
        let stays = doing.has_thread() || old.is_some_and(Doing::has_thread);
        let now = GoroutineSlice {
            start: record.at,
            end: record.at,
            doing,
            tid: if stays && doing != Doing::Runnable { record.tid } else { 0 },
            processor: record.processor,
            woken_by,
            keeps_thread: false,
        };
        if doing.has_thread() {
            if let Some(other) = waker.and_then(|other| live.get_mut(&other)) {
                other.displaced.get_or_insert(record.at);
            }
            on_thread.insert(record.tid, record.g);
        } else if old.is_some_and(Doing::has_thread)
            && on_thread.get(&record.tid) == Some(&record.g)
        {
            on_thread.remove(&record.tid);
        }
        let startpc = record.startpc;
        let goroutine = live.entry(record.g).or_insert_with(|| Goroutine {
            // Until its next record: at its birth the field may hold an older one.
            goid: 0,
            startpc,
            slices: Vec::new(),
            now,
            displaced: None,
        });
        goroutine.now = now;
        goroutine.displaced = None;
    }
    tracks.extend(live.into_values().map(|goroutine| goroutine.finish(window.end, &threads)));
    tracks.retain(|track: &GoroutineTrack| !track.slices.is_empty());
    let first = |track: &GoroutineTrack| track.slices.first().map(|slice| slice.start);
    tracks.sort_by_key(|track| (track.goid, first(track)));
    tracks
}
