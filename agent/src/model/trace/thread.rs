//! Threads: on a CPU, waiting for one, or asleep.

use std::collections::BTreeMap;

use goroscope_ebpf_probes::trace::{KIND_WAKEUP_NEW, SWITCH_DEAD, SWITCH_PREEMPTED};

use super::Window;
use crate::probe::TraceRecord;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// It is on this CPU; `None` where it was there before the trace began and never left.
    OnCpu(Option<u32>),
    /// It waits for a CPU since it was woken, or since before the trace.
    Woken,
    /// It waits for a CPU since it was taken off one, though it could have gone on.
    Preempted,
    /// It wants no CPU: it sleeps in the kernel.
    Asleep,
    /// A record is missing.
    Unknown,
}

impl ThreadState {
    /// It could run, and is on no CPU.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::Woken | Self::Preempted)
    }
}

/// A stretch of time in which a thread does one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSlice {
    /// Its begin.
    pub start: u64,
    /// Its end.
    pub end: u64,
    /// What it does.
    pub state: ThreadState,
}

/// What one thread did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTrack {
    /// Its id, the kernel's own.
    pub tid: u32,
    /// One behind the other, in order.
    pub slices: Vec<ThreadSlice>,
}

impl ThreadTrack {
    /// The parts of its slices that lie in this stretch.
    pub fn within(&self, start: u64, end: u64) -> impl Iterator<Item = ThreadSlice> {
        let first = self.slices.partition_point(|slice| slice.end <= start);
        let rest = self.slices.get(first..).unwrap_or_default().iter();
        rest.take_while(move |slice| slice.start < end).map(move |slice| ThreadSlice {
            start: slice.start.max(start),
            end: slice.end.min(end),
            ..*slice
        })
    }

    /// How long it waited for a CPU in this stretch.
    #[must_use]
    pub fn waited(&self, start: u64, end: u64) -> u64 {
        self.within(start, end)
            .filter(|slice| slice.state.waits())
            .map(|slice| slice.end.saturating_sub(slice.start))
            .sum()
    }
}

/// A thread while the records are gone through.
#[derive(Default)]
struct Thread {
    slices: Vec<ThreadSlice>,
    /// What it does, and since when; `None` once it has ended, and before it was heard of.
    now: Option<(ThreadState, u64)>,
    /// It did not exist a moment ago.
    absent: bool,
}

impl Thread {
    /// From `at` on it does something else. `was` says what it must have done before where that is
    /// not known yet; where it is known, and `fits` denies it, a record is missing.
    fn turns(
        &mut self,
        at: u64,
        begin: u64,
        was: ThreadState,
        fits: impl Fn(ThreadState) -> bool,
        to: Option<ThreadState>,
    ) {
        let (state, since) = self.now.unwrap_or((was, if self.absent { at } else { begin }));
        let state = if fits(state) { state } else { ThreadState::Unknown };
        if since < at {
            self.slices.push(ThreadSlice { start: since, end: at, state });
        }
        self.absent = to.is_none();
        self.now = to.map(|to| (to, at));
    }
}

/// The tracks of all threads.
pub(super) fn tracks(records: &[TraceRecord], window: Window) -> Vec<ThreadTrack> {
    let mut threads: BTreeMap<u32, Thread> = BTreeMap::new();
    for record in records {
        match record {
            TraceRecord::Switch(switch) => {
                if switch.prev != 0 {
                    let next = match switch.flags {
                        flags if flags & SWITCH_DEAD != 0 => None,
                        flags if flags & SWITCH_PREEMPTED != 0 => Some(ThreadState::Preempted),
                        _ => Some(ThreadState::Asleep),
                    };
                    let on_cpu = |state| matches!(state, ThreadState::OnCpu(cpu) if cpu.is_none_or(|cpu| cpu == switch.cpu));
                    let was = ThreadState::OnCpu(Some(switch.cpu));
                    let thread = threads.entry(switch.prev).or_default();
                    thread.turns(switch.at, window.begin, was, on_cpu, next);
                }
                if switch.next != 0 {
                    let next = Some(ThreadState::OnCpu(Some(switch.cpu)));
                    let thread = threads.entry(switch.next).or_default();
                    let (was, begin) = (ThreadState::Woken, window.begin);
                    thread.turns(switch.at, begin, was, ThreadState::waits, next);
                }
            }
            TraceRecord::Wakeup(wakeup) => {
                let thread = threads.entry(wakeup.tid).or_default();
                if wakeup.kind == KIND_WAKEUP_NEW && thread.now.is_none() {
                    thread.absent = true;
                }
                // A thread that is woken before it has left its CPU just stays there.
                let awake =
                    |state: ThreadState| matches!(state, ThreadState::OnCpu(_)) || state.waits();
                if thread.now.is_none_or(|(state, _)| !awake(state)) {
                    let asleep = |state| state == ThreadState::Asleep;
                    let (was, next) = (ThreadState::Asleep, Some(ThreadState::Woken));
                    thread.turns(wakeup.at, window.begin, was, asleep, next);
                }
            }
            TraceRecord::Transition(_) => {}
        }
    }
    // Who was never switched, and yet did something, had its CPU all the time.
    for record in records {
        if let TraceRecord::Transition(transition) = record {
            threads.entry(transition.tid).or_insert_with(|| Thread {
                now: Some((ThreadState::OnCpu(None), window.begin)),
                ..Thread::default()
            });
        }
    }
    let finish = |(tid, mut thread): (u32, Thread)| {
        if thread.now.is_some() {
            thread.turns(window.end, window.begin, ThreadState::Unknown, |_| true, None);
        }
        ThreadTrack { tid, slices: thread.slices }
    };
    threads.into_iter().map(finish).collect()
}
