//! Where a trace is written, and of which process it is.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    macros::map,
    maps::{Array, RingBuf, ring_buf::RingBufEntry},
};
use goroscope_ebpf_probes::trace::TraceLosses;

use crate::counter::add;

/// One page until `goroscope trace` says how large it is to be.
#[map]
static TRACE: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static TRACED: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static TRACE_LOSSES: Array<TraceLosses> = Array::with_max_entries(1, 0);

/// Is this the process that is traced?
#[inline(always)]
pub(crate) fn is_traced(tgid: u32) -> bool {
    // That of a CPU's idle thread is 0, as while nothing is traced.
    tgid != 0 && TRACED.get(0).is_some_and(|traced| *traced == tgid)
}

/// Whose record was lost.
#[derive(Clone, Copy)]
pub(crate) enum Lost {
    /// [`TraceLosses::goroutines`]
    Goroutine,
    /// [`TraceLosses::threads`]
    Thread,
}

/// Room for a record; a full ring is a counted loss.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(lost: Lost) -> Option<RingBufEntry<T>> {
    let entry = TRACE.reserve::<T>(0);
    if entry.is_none()
        && let Some(losses) = TRACE_LOSSES.get_ptr_mut(0)
    {
        // SAFETY: a value of the map.
        let counter = unsafe {
            match lost {
                Lost::Goroutine => &raw mut (*losses).goroutines,
                Lost::Thread => &raw mut (*losses).threads,
            }
        };
        add(counter, 1);
    }
    entry
}

/// Hands a record over. Nobody is woken: the ring is emptied by the clock.
#[inline(always)]
pub(crate) fn submit<T>(entry: RingBufEntry<T>) {
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}
