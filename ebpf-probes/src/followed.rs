//! Which threads are followed: a bit for each thread id, so that a switch to another thread costs
//! no look-up.
//!
//! The table of threads has the last word; the bits are only asked first. An id beyond the bits
//! (the host's limit was raised meanwhile) counts as followed, and is then looked up.

use core::arch::asm;

use crate::maps::FOLLOWED;

/// May this thread be followed?
#[inline(always)]
pub(crate) fn perhaps(pid: u32) -> bool {
    match FOLLOWED.get(pid >> 6) {
        Some(word) => word >> (pid & 63) & 1 != 0,
        None => true,
    }
}

/// The thread is followed from now on.
#[inline(always)]
pub(crate) fn mark(pid: u32) {
    if let Some(word) = FOLLOWED.get_ptr_mut(pid >> 6) {
        let bit = 1_u64 << (pid & 63);
        // SAFETY: a live map value, aligned to eight bytes.
        unsafe {
            asm!("lock *(u64 *)({word} + 0) |= {bit}", word = in(reg) word, bit = in(reg) bit)
        };
    }
}

/// The thread is gone.
#[inline(always)]
pub(crate) fn unmark(pid: u32) {
    if let Some(word) = FOLLOWED.get_ptr_mut(pid >> 6) {
        let rest = !(1_u64 << (pid & 63));
        // SAFETY: as above.
        unsafe {
            asm!("lock *(u64 *)({word} + 0) &= {rest}", word = in(reg) word, rest = in(reg) rest)
        };
    }
}
