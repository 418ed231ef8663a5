//! The table of processes, and their goroutine counts.

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use goroscope_ebpf_probes::{
    event::NO_SLOT,
    goroutine::{ALLOWANCES, GOROUTINES, GoroutineCounts},
    process::{FLAG_ADOPTED, FLAG_IGNORED, ProcessRef, TGIDS},
};

use super::{ProbeError, Slot};

/// `BPF_NOEXIST`
const NO_EXIST: u64 = 1;
/// `BPF_EXIST`
const EXIST: u64 = 2;

/// The table of processes, and their goroutine counts.
pub(super) struct ProcessTable {
    refs: HashMap<MapData, u32, ProcessRef>,
    counts: Array<MapData, GoroutineCounts>,
    allowances: Array<MapData, u64>,
}

impl ProcessTable {
    /// Takes the maps.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            refs: ebpf
                .take_map(TGIDS)
                .and_then(|map| map.try_into().ok())
                .ok_or(ProbeError::Missing(TGIDS))?,
            counts: ebpf
                .take_map(GOROUTINES)
                .and_then(|map| map.try_into().ok())
                .ok_or(ProbeError::Missing(GOROUTINES))?,
            allowances: ebpf
                .take_map(ALLOWANCES)
                .and_then(|map| map.try_into().ok())
                .ok_or(ProbeError::Missing(ALLOWANCES))?,
        })
    }

    /// What the kernel's side knows of a process.
    pub(super) fn get(&self, tgid: u32) -> Result<Option<ProcessRef>, ProbeError> {
        match self.refs.get(&tgid, 0) {
            Ok(found) => Ok(Some(found)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(ProbeError::map(TGIDS)(error)),
        }
    }

    /// Has a process counted in this slot: one that has an entry (`known`), or one that has none.
    /// Says whether it was so still. The kernel's side makes an entry at the first hit, with a slot
    /// of its own choice, and removes it when the process ends.
    pub(super) fn adopt(
        &mut self,
        tgid: u32,
        slot: Slot,
        binary: u32,
        known: bool,
    ) -> Result<bool, ProbeError> {
        let entry = ProcessRef { slot: slot.0, binary, flags: FLAG_ADOPTED, reserved: 0 };
        self.set(tgid, entry, if known { EXIST } else { NO_EXIST })
    }

    /// Has a process that has an entry not counted; says whether it still had it.
    pub(super) fn ignore(&mut self, tgid: u32) -> Result<bool, ProbeError> {
        let entry = ProcessRef { slot: NO_SLOT, binary: 0, flags: FLAG_IGNORED, reserved: 0 };
        self.set(tgid, entry, EXIST)
    }

    fn set(&mut self, tgid: u32, entry: ProcessRef, flags: u64) -> Result<bool, ProbeError> {
        match self.refs.insert(tgid, entry, flags) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error))
                if matches!(error.io_error.raw_os_error(), Some(libc::ENOENT | libc::EEXIST)) =>
            {
                Ok(false)
            }
            Err(error) => Err(ProbeError::map(TGIDS)(error)),
        }
    }

    /// Forgets a process.
    pub(super) fn remove(&mut self, tgid: u32) {
        // Where the kernel's side saw its end, the entry is gone.
        let _gone = self.refs.remove(&tgid);
    }

    /// Counts of a process.
    pub(super) fn counts(&self, slot: Slot) -> Result<GoroutineCounts, ProbeError> {
        self.counts.get(&slot.0, 0).map_err(ProbeError::map(GOROUTINES))
    }

    /// Has the kernel's side tell when a process comes to so many hits; 0 for never.
    pub(super) fn allow(&mut self, slot: Slot, hits: u64) -> Result<(), ProbeError> {
        self.allowances.set(slot.0, hits, 0).map_err(ProbeError::map(ALLOWANCES))
    }

    /// Sets a slot to zero.
    pub(super) fn clear(&mut self, slot: Slot) -> Result<(), ProbeError> {
        self.allow(slot, 0)?;
        self.counts.set(slot.0, GoroutineCounts::default(), 0).map_err(ProbeError::map(GOROUTINES))
    }

    /// Processes the kernel's side knows.
    pub(super) fn tgids(&self) -> Vec<u32> {
        self.refs.keys().flatten().collect()
    }
}
