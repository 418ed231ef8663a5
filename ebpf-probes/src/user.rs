//! The target's registers and memory, as a uprobe finds them.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::pt_regs,
    helpers::{bpf_copy_from_user, bpf_probe_read_user},
    programs::ProbeContext,
};

/// How memory is read.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// Without sleeping: a page that is not mapped is an error.
    Atomic,
    /// With sleeping where that is needed.
    Sleepable,
}

impl Read {
    /// Eight bytes at `address` of the target.
    #[inline(always)]
    pub(crate) fn word(self, address: u64) -> Option<u64> {
        // SAFETY: the helper checks the address.
        if let Ok(word) = unsafe { bpf_probe_read_user(address as *const u64) } {
            return Some(word);
        }
        match self {
            Self::Atomic => None,
            Self::Sleepable => {
                let mut word = 0_u64;
                // SAFETY: the helper writes eight bytes, or fails.
                let failed = unsafe {
                    bpf_copy_from_user(
                        (&raw mut word).cast::<c_void>(),
                        8,
                        address as *const c_void,
                    )
                };
                (failed == 0).then_some(word)
            }
        }
    }
}

/// Argument `index` (0 to 2) of a Go function with ABIInternal, at its entry.
///
/// <https://github.com/golang/go/blob/go1.26.6/src/cmd/compile/abi-internal.md>
#[inline(always)]
pub(crate) fn argument(ctx: &ProbeContext, index: usize) -> u64 {
    let regs: *const pt_regs = ctx.regs;
    // SAFETY: a uprobe's context is a `pt_regs`; the verifier checks the access.
    unsafe {
        #[cfg(bpf_target_arch = "aarch64")]
        {
            (*regs.cast::<[u64; 31]>())[index]
        }
        #[cfg(not(bpf_target_arch = "aarch64"))]
        {
            match index {
                0 => (*regs).rax,
                1 => (*regs).rbx,
                _ => (*regs).rcx,
            }
        }
    }
}

/// The `runtime.g` that the thread runs on just now, in a function with ABIInternal.
#[inline(always)]
pub(crate) fn current_g(ctx: &ProbeContext) -> u64 {
    let regs: *const pt_regs = ctx.regs;
    // SAFETY: as above.
    unsafe {
        #[cfg(bpf_target_arch = "aarch64")]
        {
            (*regs.cast::<[u64; 31]>())[28]
        }
        #[cfg(not(bpf_target_arch = "aarch64"))]
        {
            (*regs).r14
        }
    }
}
