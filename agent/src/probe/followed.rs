//! The bits that tell the kernel's side which threads to look up, shared by mapping.
//!
//! Both sides set bits of the same words at any time, so they are changed by atomic instructions
//! only; a write through the system call would undo what the other side does meanwhile.

use std::{
    fs,
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{Ebpf, maps::Map};
use goroscope_ebpf_probes::sched::FOLLOWED;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::ProbeError;

/// Thread ids where the host does not say: the kernel's own limit, `PID_MAX_LIMIT`.
const MOST_THREAD_IDS: u32 = 4 << 20;

/// Words of 64 bits for all thread ids that this host can have now.
pub(super) fn words() -> u32 {
    let limit = fs::read_to_string("/proc/sys/kernel/pid_max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<u32>().ok()).unwrap_or(MOST_THREAD_IDS);
    limit.clamp(64, MOST_THREAD_IDS).div_ceil(64)
}

/// The bits.
pub(super) struct Followed {
    words: NonNull<AtomicU64>,
    count: usize,
    /// Keeps the map alive.
    _map: Map,
}

// SAFETY: the memory is shared with the kernel anyway and is touched by atomic operations only.
unsafe impl Send for Followed {}

impl Followed {
    /// Maps the map that was made with so many [`words`].
    pub(super) fn new(ebpf: &mut Ebpf, words: u32) -> Result<Self, ProbeError> {
        let map = ebpf.take_map(FOLLOWED).ok_or(ProbeError::Missing(FOLLOWED))?;
        let Map::Array(data) = &map else {
            return Err(ProbeError::Missing(FOLLOWED));
        };
        let count = usize::try_from(words).map_err(|_| ProbeError::Missing(FOLLOWED))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses, of as many bytes as the
        // map has; it lives as long as this value, and the map does too.
        let mapped = unsafe {
            mmap(ptr::null_mut(), count * 8, access, MapFlags::SHARED, data.fd().as_fd(), 0)
        };
        let words = mapped.ok().and_then(|at| NonNull::new(at.cast()));
        let words = words.ok_or(ProbeError::Missing("mapping of the followed threads"))?;
        Ok(Self { words, count, _map: map })
    }

    fn word(&self, tid: u32) -> Option<&AtomicU64> {
        let index = usize::try_from(tid / 64).ok().filter(|&index| index < self.count)?;
        // SAFETY: within the mapping, which is aligned to a page.
        let word = unsafe { self.words.add(index) };
        // SAFETY: it lives as long as `self`, and others change it atomically only.
        Some(unsafe { word.as_ref() })
    }

    /// The thread is in the table now. One beyond the bits is looked up always.
    pub(super) fn mark(&self, tid: u32) {
        if let Some(word) = self.word(tid) {
            word.fetch_or(1 << (tid % 64), Ordering::Relaxed);
        }
    }

    /// The thread is not in the table any more.
    pub(super) fn unmark(&self, tid: u32) {
        if let Some(word) = self.word(tid) {
            word.fetch_and(!(1 << (tid % 64)), Ordering::Relaxed);
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // SAFETY: the mapping that was made in `new`; nothing refers to it any more.
        let _unmapped = unsafe { munmap(self.words.as_ptr().cast(), self.count * 8) };
    }
}
