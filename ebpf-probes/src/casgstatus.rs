//! Every change of a goroutine's status: `runtime.casgstatus`, at its frame's set-up.
//!
//! Feeds `goroscope trace` only. The function has no stack check, so it is not run again by
//! `morestack`; the probe hits before the change is made.
//!
//! `func casgstatus(gp *g, oldval, newval uint32)`, ABIInternal:
//! <https://github.com/golang/go/blob/go1.26.6/src/runtime/proc.go#L1277>. What changes a status
//! without it is not seen: the preemption for a scan of the stack (`casGToPreemptScan`,
//! `casGFromPreempted`), switches between coroutines (`coroswitch_m`, from 1.22), and from 1.26 on
//! the begin and the end of a system call (`entersyscall`, `exitsyscall`).

use core::ptr;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_user, generated},
    macros::uprobe,
    programs::ProbeContext,
};
use goroscope_ebpf_probes::trace::{KIND_TRANSITION, TraceLayout, Transition};

use crate::{
    record::{Lost, is_traced, reserve, submit},
    user::{argument, current_g},
};

/// `_Gidle`: a new record, which is no goroutine yet.
const IDLE: u8 = 0;
/// `_Grunning`
const RUNNING: u8 = 2;
/// `_Gwaiting`
const WAITING: u8 = 4;
/// `_Gdead`
const DEAD: u8 = 6;
/// `_Gcopystack`: its stack is moved while it runs.
const COPYSTACK: u8 = 8;
/// `p.id` where there is no processor.
const NO_PROCESSOR: i32 = -1;

/// Set by the agent before loading: [`goroscope_ebpf_probes::trace::TRACE_LAYOUT`].
#[unsafe(no_mangle)]
static TRACE_LAYOUT: TraceLayout =
    TraceLayout { goid: 0, waitreason: 0, startpc: 0, g_m: 0, m_p: 0, p_id: 0 };

#[uprobe]
pub(crate) fn casgstatus(ctx: ProbeContext) -> u32 {
    let ids = bpf_get_current_pid_tgid();
    if is_traced((ids >> 32) as u32) {
        changed(&ctx, ids as u32);
    }
    0
}

#[inline(always)]
fn changed(ctx: &ProbeContext, tid: u32) {
    let (old, new) = (argument(ctx, 1) as u8, argument(ctx, 2) as u8);
    if old == IDLE || old == COPYSTACK || new == COPYSTACK {
        return;
    }
    let Some(mut entry) = reserve::<Transition>(Lost::Goroutine) else {
        return;
    };
    let record = entry.as_mut_ptr();
    let g = argument(ctx, 0);
    // SAFETY: the entry is as large as a record; each field is written before it is sent. What
    // cannot be read the helper sets to zero.
    unsafe {
        (*record).kind = KIND_TRANSITION;
        (*record).tid = tid;
        (*record).at = bpf_ktime_get_ns();
        (*record).g = g;
        read(&raw mut (*record).goid, at(g, &TRACE_LAYOUT.goid));
        (*record).startpc = 0;
        if old == DEAD {
            read(&raw mut (*record).startpc, at(g, &TRACE_LAYOUT.startpc));
        }
        if new != RUNNING || !processor(ctx, &raw mut (*record).processor) {
            (*record).processor = NO_PROCESSOR;
        }
        (*record).old = old;
        (*record).new = new;
        (*record).reason = 0;
        if old == WAITING || new == WAITING {
            read(&raw mut (*record).reason, at(g, &TRACE_LAYOUT.waitreason));
        }
        (*record).reserved = 0;
    }
    submit(entry);
}

/// The number of the processor that the thread has; `false` where there is none.
///
/// # Safety
///
/// `to` can be written.
#[inline(always)]
unsafe fn processor(ctx: &ProbeContext, to: *mut i32) -> bool {
    let g = current_g(ctx);
    // SAFETY: the helper checks the addresses.
    let found = unsafe {
        bpf_probe_read_user(at::<u64>(g, &TRACE_LAYOUT.g_m))
            .and_then(|m| bpf_probe_read_user(at::<u64>(m, &TRACE_LAYOUT.m_p)))
    };
    match found {
        // SAFETY: the caller's promise.
        Ok(p) if p != 0 => unsafe { read(to, at(p, &TRACE_LAYOUT.p_id)) },
        _ => false,
    }
}

/// The address of a field of the target's.
#[inline(always)]
fn at<T>(record: u64, field: &'static u32) -> *const T {
    // SAFETY: a static is valid; volatile, because the agent changes it behind the compiler.
    let offset = unsafe { ptr::read_volatile(field) };
    record.wrapping_add(u64::from(offset)) as *const T
}

/// Reads into the record at once: the stack of a uprobe program is small. Says whether it could.
///
/// # Safety
///
/// `to` can be written.
#[inline(always)]
unsafe fn read<T>(to: *mut T, from: *const T) -> bool {
    // SAFETY: the caller's promise; the helper checks the target's address.
    unsafe { generated::bpf_probe_read_user(to.cast(), size_of::<T>() as u32, from.cast()) == 0 }
}
