//! Threads that become runnable: `sched_wakeup` and `sched_wakeup_new`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds`: here the waiting begins. `sched_wakeup_new` is
//! also where new threads of watched processes are taken on.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use aya_log_ebpf::trace;
use goroscope_ebpf_probes::{process::FLAG_ADOPTED, sched::ThreadState};

use crate::{
    maps::{TGIDS, THREADS, lost},
    task::Task,
};

/// `TP_PROTO(struct task_struct *p)`
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    let pid = Task(ctx.arg(0)).pid();
    if let Some(thread) = THREADS.get_ptr_mut(&pid) {
        // SAFETY: a value of the map. The scheduler holds the run queue's lock, so nobody else
        // writes it. A thread that is runnable already has waited since then, not since now.
        unsafe {
            if (*thread).runnable_since == 0 {
                (*thread).runnable_since = bpf_ktime_get_ns();
            }
        }
    }
    0
}

/// `TP_PROTO(struct task_struct *p)`
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    // SAFETY: entries are replaced whole.
    let Some(process) = (unsafe { TGIDS.get(&tgid) }) else {
        return 0;
    };
    if process.flags & FLAG_ADOPTED == 0 {
        return 0;
    }
    let pid = task.pid();
    let thread = ThreadState {
        // SAFETY: a helper without arguments.
        runnable_since: unsafe { bpf_ktime_get_ns() },
        nvcsw: 0,
        slot: process.slot,
        reserved: 0,
    };
    if THREADS.insert(&pid, &thread, 0).is_err() {
        lost(|losses| unsafe { &raw mut (*losses).threads });
    }
    trace!(&ctx, "process {} has a new thread {}", tgid, pid);
    0
}
