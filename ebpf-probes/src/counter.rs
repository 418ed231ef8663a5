//! Counters in maps.

use core::arch::asm;

/// Adds to a counter in a map. Atomic although some maps have one writer per process: uprobe
/// programs run preemptibly, and a process has many threads.
#[inline(always)]
pub(crate) fn add(counter: *mut u64, amount: u64) {
    // `core` has no atomics for BPF; this form of the instruction is in every kernel.
    // SAFETY: every caller passes a field of a live map value, aligned to eight bytes.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {amount}", counter = in(reg) counter, amount = in(reg) amount);
    }
}
