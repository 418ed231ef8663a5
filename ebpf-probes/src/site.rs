//! Counts births and deaths by process and by creation site.

use goroscope_ebpf_probes::goroutine::{SiteCounts, SiteKey};

use crate::maps::{ALLOWANCES, GOROUTINES, Loss, SITES, add, lost};

/// `BPF_NOEXIST`
const NO_EXIST: u64 = 1;

/// What happened to a goroutine.
#[derive(Clone, Copy)]
pub(crate) enum Happened {
    /// It was born.
    Birth,
    /// It ended.
    Death,
}

/// Counts a birth for the process. Says whether its allowance is spent; that is said once.
#[inline(always)]
pub(crate) fn count_birth(slot: u32) -> bool {
    let Some(counts) = GOROUTINES.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: a value of the map.
    add(unsafe { &raw mut (*counts).created }, 1);
    let Some(allowance) = ALLOWANCES.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: values of the maps; other CPUs write them meanwhile, so they are read as they are.
    let (created, exited, most) = unsafe {
        (
            (&raw const (*counts).created).read_volatile(),
            (&raw const (*counts).exited).read_volatile(),
            allowance.read_volatile(),
        )
    };
    if most == 0 || created.wrapping_add(exited) < most {
        return false;
    }
    // Two CPUs may come here at once; then the agent is told twice, which does no harm.
    // SAFETY: as above.
    unsafe { allowance.write_volatile(0) };
    true
}

/// Counts a death for the process.
#[inline(always)]
pub(crate) fn count_death(slot: u32) {
    if let Some(counts) = GOROUTINES.get_ptr_mut(slot) {
        // SAFETY: a value of the map.
        add(unsafe { &raw mut (*counts).exited }, 1);
    }
}

/// Counts for the site; where there is no room for it, the loss.
#[inline(always)]
pub(crate) fn count_site(key: &SiteKey, happened: Happened) {
    let mut found = SITES.get_ptr_mut(key);
    if found.is_none() {
        // Another CPU may be first; then this fails, and the next look-up finds that one's.
        let _ = SITES.insert(key, &SiteCounts { created: 0, exited: 0 }, NO_EXIST);
        found = SITES.get_ptr_mut(key);
    }
    match found {
        // SAFETY: a value of the map.
        Some(counts) => add(
            unsafe {
                match happened {
                    Happened::Birth => &raw mut (*counts).created,
                    Happened::Death => &raw mut (*counts).exited,
                }
            },
            1,
        ),
        None => {
            lost(Loss::Site);
            if let Some(counts) = GOROUTINES.get_ptr_mut(key.slot) {
                // SAFETY: a value of the map.
                add(unsafe { &raw mut (*counts).site_losses }, 1);
            }
        }
    }
}

/// Counts a death whose site could not be read.
#[inline(always)]
pub(crate) fn count_unreadable(slot: u32) {
    if let Some(counts) = GOROUTINES.get_ptr_mut(slot) {
        // SAFETY: a value of the map.
        add(unsafe { &raw mut (*counts).unreadable }, 1);
    }
}
