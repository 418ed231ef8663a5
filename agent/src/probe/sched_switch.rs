//! Threads that get and leave the CPU: `sched_switch`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds` and `goroscope_thread_switches_total`.

use std::collections::HashSet;

use aya::{
    Btf, Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use goroscope_ebpf_probes::sched::{SCHED, SchedCounts, THREADS, ThreadState};

use super::{ProbeError, Slot, followed::Followed, load::tracepoint};

/// Attaches it.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    tracepoint(ebpf, btf, "sched_switch")
}

/// The scheduler's tables.
pub(super) struct SchedTables {
    counts: Array<MapData, SchedCounts>,
    threads: HashMap<MapData, u32, ThreadState>,
    followed: Followed,
}

impl SchedTables {
    /// Takes the maps.
    pub(super) fn new(ebpf: &mut Ebpf, followed_words: u32) -> Result<Self, ProbeError> {
        Ok(Self {
            counts: ebpf
                .take_map(SCHED)
                .and_then(|map| map.try_into().ok())
                .ok_or(ProbeError::Missing(SCHED))?,
            threads: ebpf
                .take_map(THREADS)
                .and_then(|map| map.try_into().ok())
                .ok_or(ProbeError::Missing(THREADS))?,
            followed: Followed::new(ebpf, followed_words)?,
        })
    }

    /// Counts of a process.
    pub(super) fn counts(&self, slot: Slot) -> Result<SchedCounts, ProbeError> {
        self.counts.get(&slot.0, 0).map_err(ProbeError::map(SCHED))
    }

    /// Sets a slot to zero.
    pub(super) fn clear(&mut self, slot: Slot) -> Result<(), ProbeError> {
        self.counts.set(slot.0, SchedCounts::default(), 0).map_err(ProbeError::map(SCHED))
    }

    /// Follows a thread, unless it is followed already; `Ok(false)` where there is no room.
    pub(super) fn follow(&mut self, tid: u32, slot: Slot) -> Result<bool, ProbeError> {
        let state =
            ThreadState { run_delay: ThreadState::UNKNOWN, slot: slot.0, ..ThreadState::default() };
        /// `BPF_NOEXIST`: the kernel's side may have been first, and knows more.
        const NO_EXIST: u64 = 1;
        match self.threads.insert(tid, state, NO_EXIST) {
            Ok(()) => {
                self.followed.mark(tid);
                Ok(true)
            }
            Err(MapError::SyscallError(error)) => match error.io_error.raw_os_error() {
                Some(libc::EEXIST) => Ok(true),
                Some(libc::E2BIG | libc::ENOMEM) => Ok(false),
                _ => Err(ProbeError::map(THREADS)(MapError::SyscallError(error))),
            },
            Err(error) => Err(ProbeError::map(THREADS)(error)),
        }
    }

    /// Forgets the threads of these slots that are still in the table: those of which the kernel's
    /// side did not see the end, because they were taken on when it was over.
    pub(super) fn forget_all_of(&mut self, slots: &HashSet<Slot>) {
        let stale: Vec<u32> = self
            .threads
            .iter()
            .flatten()
            .filter(|(_, state)| slots.contains(&Slot(state.slot)))
            .map(|(tid, _)| tid)
            .collect();
        for tid in stale {
            self.forget(tid);
        }
    }

    /// Forgets a thread that was taken on although it had ended.
    pub(super) fn forget(&mut self, tid: u32) {
        self.followed.unmark(tid);
        // It is gone from the table already where the kernel's side saw its end.
        let _gone = self.threads.remove(&tid);
    }
}
