//! Threads that are born: `sched_wakeup_new`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds` and `goroscope_thread_switches_total`: a new thread
//! of a watched process is followed from its first moment on.
//!
//! `sched_wakeup` is not traced. It would tell when a thread begins to wait, for the price of a
//! program run and a clock reading at every wake-up of the host; the kernel keeps that account
//! itself (`sched_info`), exactly, and [`crate::sched_switch`] reads it.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::trace;
use goroscope_ebpf_probes::{process::FLAG_ADOPTED, sched::ThreadState};

use crate::{
    followed,
    maps::{TGIDS, THREADS, lost},
    task::Task,
};

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
    let thread = ThreadState { slot: process.slot, ..ThreadState::default() };
    match THREADS.insert(&pid, &thread, 0) {
        Ok(()) => followed::mark(pid),
        Err(_) => lost(|losses| unsafe { &raw mut (*losses).threads }),
    }
    trace!(&ctx, "process {} has a new thread {}", tgid, pid);
    0
}
