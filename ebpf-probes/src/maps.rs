//! The maps; their names are in the library part, beside the records they hold.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, Queue, RingBuf},
};
use goroscope_ebpf_probes::{
    DEFAULT_MAX_PROCESSES, DEFAULT_MAX_SITES, DEFAULT_MAX_THREADS, EVENT_RING_BYTES,
    goroutine::{GoroutineCounts, SiteCounts, SiteKey},
    process::{Losses, ProcessRef},
    sched::{Running, SchedCounts, ThreadState},
};

pub(crate) use crate::counter::add;

#[map]
pub(crate) static TGIDS: HashMap<u32, ProcessRef> =
    HashMap::with_max_entries(2 * DEFAULT_MAX_PROCESSES, 0);
#[map]
pub(crate) static FREE_SLOTS: Queue<u32> = Queue::with_max_entries(DEFAULT_MAX_PROCESSES, 0);
#[map]
pub(crate) static GOROUTINES: Array<GoroutineCounts> =
    Array::with_max_entries(DEFAULT_MAX_PROCESSES, 0);
#[map]
pub(crate) static ALLOWANCES: Array<u64> = Array::with_max_entries(DEFAULT_MAX_PROCESSES, 0);
#[map]
pub(crate) static SITES: HashMap<SiteKey, SiteCounts> =
    HashMap::with_max_entries(DEFAULT_MAX_SITES, 0);
#[map]
pub(crate) static SCHED: Array<SchedCounts> = Array::with_max_entries(DEFAULT_MAX_PROCESSES, 0);
#[map]
pub(crate) static THREADS: HashMap<u32, ThreadState> =
    HashMap::with_max_entries(DEFAULT_MAX_THREADS, 0);
/// One word until the agent knows how many thread ids there can be; mapped by the agent too.
#[map]
pub(crate) static FOLLOWED: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
pub(crate) static RUNNING: PerCpuArray<Running> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static LOSSES: Array<Losses> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(EVENT_RING_BYTES, 0);

/// What was lost.
#[derive(Clone, Copy)]
pub(crate) enum Loss {
    /// [`Losses::processes`]
    Process,
    /// [`Losses::sites`]
    Site,
    /// [`Losses::threads`]
    Thread,
    /// [`Losses::events`]
    Event,
}

/// Counts a loss.
#[inline(always)]
pub(crate) fn lost(what: Loss) {
    let Some(losses) = LOSSES.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a value of the map.
    let counter = unsafe {
        match what {
            Loss::Process => &raw mut (*losses).processes,
            Loss::Site => &raw mut (*losses).sites,
            Loss::Thread => &raw mut (*losses).threads,
            Loss::Event => &raw mut (*losses).events,
        }
    };
    add(counter, 1);
}
