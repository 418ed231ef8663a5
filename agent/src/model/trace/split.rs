//! Where the time went that goroutines were kept waiting.

use std::collections::HashMap;

use super::{Doing, GoroutineSlice, ThreadState, ThreadTrack, Trace};

/// What became of one goroutine's time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// In Go's run queue, without [`Split::thread_in_queue`].
    pub queue: u64,
    /// In Go's run queue, while the thread that took it in the end waited for a CPU.
    pub thread_in_queue: u64,
    /// Running in Go's eyes, while its thread waited for a CPU.
    pub thread_running: u64,
    /// Running, with its thread on a CPU.
    pub on_cpu: u64,
    /// Running or in a system call, with its thread asleep in the kernel.
    pub asleep: u64,
    /// Waiting for something: a lock, a channel, a time.
    pub waiting: u64,
    /// How often it became runnable.
    pub turns: u64,
    /// The longest time from runnable to running.
    pub longest_turn: u64,
    /// The longest time that it ran without giving up its processor.
    pub longest_run: u64,
}

impl Split {
    /// Its thread waited for a CPU.
    #[must_use]
    pub fn thread(&self) -> u64 {
        self.thread_in_queue.saturating_add(self.thread_running)
    }

    /// It was kept waiting although it could run.
    #[must_use]
    pub fn delay(&self) -> u64 {
        self.queue.saturating_add(self.thread())
    }

    pub(super) fn of(slices: &[GoroutineSlice], threads: &HashMap<u32, &ThreadTrack>) -> Self {
        let mut split = Self::default();
        for slice in slices {
            let length = slice.end.saturating_sub(slice.start);
            let thread = threads.get(&slice.tid);
            match slice.doing {
                Doing::Runnable => {
                    let waited = thread.map_or(0, |thread| thread.waited(slice.start, slice.end));
                    split.thread_in_queue += waited;
                    split.queue += length.saturating_sub(waited);
                    split.turns += 1;
                    split.longest_turn = split.longest_turn.max(length);
                }
                Doing::Running | Doing::Syscall => {
                    split.add_thread(slice, thread.copied());
                    if slice.doing == Doing::Running {
                        split.longest_run = split.longest_run.max(length);
                    }
                }
                Doing::Waiting(_) if slice.keeps_thread => {
                    split.add_thread(slice, thread.copied());
                }
                Doing::Waiting(_) | Doing::Preempted => split.waiting += length,
                Doing::Unknown => {}
            }
        }
        split
    }

    fn add_thread(&mut self, slice: &GoroutineSlice, thread: Option<&ThreadTrack>) {
        for part in thread.into_iter().flat_map(|thread| thread.within(slice.start, slice.end)) {
            let length = part.end.saturating_sub(part.start);
            match part.state {
                ThreadState::OnCpu(_) => self.on_cpu += length,
                ThreadState::Woken | ThreadState::Preempted => self.thread_running += length,
                ThreadState::Asleep => self.asleep += length,
                ThreadState::Unknown => {}
            }
        }
    }
}

/// All goroutines, threads and processors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sums of all goroutines; of the longest times the longest.
    pub goroutines: Split,
    /// How long threads waited for a CPU, whatever they had to run: also those that were woken for a
    /// timer or the network before any goroutine was runnable.
    pub threads_waited: u64,
    /// How long processors ran goroutines.
    pub processors_busy: u64,
    /// Time of goroutines of which a record is missing.
    pub unknown: u64,
}

impl Totals {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut totals = Self::default();
        let all = &mut totals.goroutines;
        for track in &trace.goroutines {
            let one = &track.split;
            all.queue += one.queue;
            all.thread_in_queue += one.thread_in_queue;
            all.thread_running += one.thread_running;
            all.on_cpu += one.on_cpu;
            all.asleep += one.asleep;
            all.waiting += one.waiting;
            all.turns += one.turns;
            all.longest_turn = all.longest_turn.max(one.longest_turn);
            all.longest_run = all.longest_run.max(one.longest_run);
            let unknown = track.slices.iter().filter(|slice| slice.doing == Doing::Unknown);
            totals.unknown +=
                unknown.map(|slice| slice.end.saturating_sub(slice.start)).sum::<u64>();
        }
        let (begin, end) = (trace.window.begin, trace.window.end);
        totals.threads_waited = trace.threads.iter().map(|thread| thread.waited(begin, end)).sum();
        totals.processors_busy = trace.processors.iter().map(super::ProcessorTrack::busy).sum();
        totals
    }
}
