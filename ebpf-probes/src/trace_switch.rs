//! Threads that get and leave a CPU: `sched_switch`.
//!
//! Feeds `goroscope trace` only. Every switch from or to a thread of the process is sent.

use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use goroscope_ebpf_probes::trace::{KIND_SWITCH, SWITCH_DEAD, SWITCH_PREEMPTED, Switch};

use crate::{
    record::{Lost, is_traced, reserve, submit},
    task::{self, Task},
};

/// `TASK_DEAD`: the thread will not come back.
/// <https://github.com/torvalds/linux/blob/v6.18/include/linux/sched.h#L113>
const DEAD: u32 = 0x80;

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next,
/// unsigned int prev_state)`; the state since Linux 5.18.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn trace_switch(ctx: BtfTracePointContext) -> i32 {
    let (prev, next) = (Task(ctx.arg(1)), Task(ctx.arg(2)));
    let (left, came) = (is_traced(prev.tgid()), is_traced(next.tgid()));
    if !left && !came {
        return 0;
    }
    let Some(mut entry) = reserve::<Switch>(Lost::Thread) else {
        return 0;
    };
    let state = if task::switch_has_state() { ctx.arg::<u64>(3) as u32 } else { prev.state() };
    // Who is preempted on its way to sleep has not slept yet.
    let preempted = state == 0 || ctx.arg::<u64>(0) & 1 != 0;
    let mut flags = 0;
    if preempted {
        flags |= SWITCH_PREEMPTED;
    }
    if state & DEAD != 0 {
        flags |= SWITCH_DEAD;
    }
    let record = entry.as_mut_ptr();
    // SAFETY: the entry is as large as a record; each field is written before it is sent.
    unsafe {
        (*record).kind = KIND_SWITCH;
        (*record).cpu = bpf_get_smp_processor_id();
        (*record).at = bpf_ktime_get_ns();
        (*record).prev = if left { prev.pid() } else { 0 };
        (*record).next = if came { next.pid() } else { 0 };
        (*record).flags = flags;
        (*record).reserved = 0;
    }
    submit(entry);
    0
}
