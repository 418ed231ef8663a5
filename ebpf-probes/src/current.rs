//! Which slot counts the current process's goroutines.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use goroscope_ebpf_probes::{
    event::{Event, KIND_NEW, KIND_SPENT},
    goroutine::GoroutineCounts,
    process::{FLAG_IGNORED, ProcessRef},
};

use crate::maps::{EVENTS, FREE_SLOTS, Loss, TGIDS, lost};

/// `BPF_NOEXIST`
const NO_EXIST: u64 = 1;

/// The slot of the current process, if hits of `binary`'s probes count for it.
///
/// A process that nobody has seen yet gets a slot at its first hit, so that it is counted from its
/// first goroutine on, before the agent has looked at it.
#[inline(always)]
pub(crate) fn slot(binary: u32) -> Option<u32> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: entries are replaced whole and their slots reused late, so a stale one is harmless.
    if let Some(known) = unsafe { TGIDS.get(&tgid) } {
        // Two inodes can stand for one image (overlay mounts); then both binaries' probes fire.
        if known.flags & FLAG_IGNORED != 0 || known.binary != binary {
            return None;
        }
        return Some(known.slot);
    }
    first_hit(tgid, binary)
}

// Inlined although it is rare: a call's frame would come on top of the caller's, and the chain must
// stay below 64 bytes (the test `kernel_object` counts them).
#[inline(always)]
fn first_hit(tgid: u32, binary: u32) -> Option<u32> {
    let Ok(Some(slot)) = FREE_SLOTS.pop() else {
        lost(Loss::Process);
        return None;
    };
    let fresh = ProcessRef { slot, binary, flags: 0, reserved: 0 };
    if TGIDS.insert(&tgid, &fresh, NO_EXIST).is_err() {
        // Another thread of the process was first, or the map is full.
        let _ = FREE_SLOTS.push(slot, 0);
        // SAFETY: as above.
        return match unsafe { TGIDS.get(&tgid) } {
            Some(known) if known.flags & FLAG_IGNORED == 0 && known.binary == binary => {
                Some(known.slot)
            }
            Some(_) => None,
            None => {
                lost(Loss::Process);
                None
            }
        };
    }
    send(KIND_NEW, tgid, slot, binary, None, |_| {});
    Some(slot)
}

/// Tells the agent that the current process has spent its allowance of hits.
#[inline(always)]
pub(crate) fn send_spent(slot: u32, binary: u32) {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    send(KIND_SPENT, tgid, slot, binary, None, |_| {});
}

/// Sends an event; a full ring is a counted loss. `fill` may write what is left zero.
#[inline(always)]
pub(crate) fn send(
    kind: u32,
    tgid: u32,
    slot: u32,
    binary: u32,
    counts: Option<&GoroutineCounts>,
    fill: impl FnOnce(*mut Event),
) {
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        lost(Loss::Event);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the entry is as large as an event; each field is written before it is sent.
    unsafe {
        (*event).kind = kind;
        (*event).tgid = tgid;
        (*event).visible_tgid = 0;
        (*event).reserved = 0;
        (*event).slot = slot;
        (*event).binary = binary;
        (*event).at = bpf_ktime_get_boot_ns();
        match counts {
            Some(counts) => (*event).counts = *counts,
            None => zero((&raw mut (*event).counts).cast(), size_of::<GoroutineCounts>()),
        }
        zero((&raw mut (*event).comm).cast(), 16);
    }
    fill(event);
    entry.submit(0);
}

/// Sets `bytes` bytes, a multiple of eight, to zero: word by word, so that the compiler does not
/// make a call of it.
///
/// # Safety
///
/// That many bytes can be written.
#[inline(always)]
unsafe fn zero(at: *mut u64, bytes: usize) {
    let mut index = 0;
    while index < bytes / 8 {
        // SAFETY: the caller's promise.
        unsafe { at.add(index).write_volatile(0) };
        index += 1;
    }
}
