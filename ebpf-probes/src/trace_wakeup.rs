//! Threads that want a CPU: `sched_wakeup`, and `sched_wakeup_new` for those that are born.
//!
//! Feeds `goroscope trace` only.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use goroscope_ebpf_probes::trace::{KIND_WAKEUP, KIND_WAKEUP_NEW, Wakeup};

use crate::{
    record::{Lost, is_traced, reserve, submit},
    task::Task,
};

/// `TP_PROTO(struct task_struct *p)`
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn trace_wakeup(ctx: BtfTracePointContext) -> i32 {
    woken(KIND_WAKEUP, Task(ctx.arg(0)));
    0
}

/// `TP_PROTO(struct task_struct *p)`
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn trace_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    woken(KIND_WAKEUP_NEW, Task(ctx.arg(0)));
    0
}

#[inline(always)]
fn woken(kind: u32, task: Task) {
    if !is_traced(task.tgid()) {
        return;
    }
    let Some(mut entry) = reserve::<Wakeup>(Lost::Thread) else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as a record; each field is written before it is sent.
    unsafe {
        (*record).kind = kind;
        (*record).tid = task.pid();
        (*record).at = bpf_ktime_get_ns();
    }
    submit(entry);
}
