//! Slots: the places of processes in the arrays of counters.

use std::collections::VecDeque;

use aya::{
    Ebpf,
    maps::{MapData, Queue},
};
use goroscope_ebpf_probes::process::FREE_SLOTS;

use super::ProbeError;

/// Index of a process in the arrays of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// The queue of slots that nobody uses. First in, first out: a slot that was freed is used again
/// as late as possible, so that a late hit does not fall upon its next owner.
pub(super) struct FreeSlots {
    queue: Queue<MapData, u32>,
    total: u32,
    /// Freed while the queue could not take them.
    waiting: VecDeque<u32>,
}

impl FreeSlots {
    /// Takes the map and puts all slots into it.
    pub(super) fn new(ebpf: &mut Ebpf, total: u32) -> Result<Self, ProbeError> {
        let mut queue: Queue<MapData, u32> = ebpf
            .take_map(FREE_SLOTS)
            .and_then(|map| map.try_into().ok())
            .ok_or(ProbeError::Missing(FREE_SLOTS))?;
        for slot in 0..total {
            queue.push(slot, 0).map_err(ProbeError::map(FREE_SLOTS))?;
        }
        Ok(Self { queue, total, waiting: VecDeque::new() })
    }

    /// A slot of one's own.
    pub(super) fn take(&mut self) -> Result<Slot, ProbeError> {
        self.settle();
        self.queue.pop(0).map(Slot).map_err(|_| ProbeError::Full(self.total.saturating_sub(1)))
    }

    /// Gives a slot back; its counters must be zero.
    pub(super) fn give(&mut self, slot: Slot) {
        self.waiting.push_back(slot.0);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(&slot) = self.waiting.front() {
            if self.queue.push(slot, 0).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }
}
