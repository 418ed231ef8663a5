//! Processes that exec and end: `sched_process_exec` and `sched_process_exit`.
//!
//! Feeds no metric of its own: tells the agent which processes come and go, and takes a process
//! that goes out of the tables with its last counts.

use aya_ebpf::{
    helpers::bpf_get_current_comm, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use goroscope_ebpf_probes::event::{Event, KIND_EXEC, KIND_EXIT, NO_SLOT};

use crate::{
    current::send,
    followed,
    maps::{GOROUTINES, RUNNING, TGIDS, THREADS},
    task::Task,
};

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    debug!(&ctx, "process {} execs", tgid);
    // A thread that is not the leader takes the leader's id over when it execs.
    forget(tgid);
    forget(ctx.arg::<u64>(1) as u32);
    if let Some(running) = RUNNING.get_ptr_mut(0) {
        // SAFETY: this CPU's value. What runs now is another program.
        unsafe { (*running).pid = 0 };
    }
    leave(KIND_EXEC, task, true);
    0
}

/// `TP_PROTO(struct task_struct *p)`, and since Linux 6.17 `bool group_dead`
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    // The leader may end long before its group does.
    let task = Task(ctx.arg(0));
    if task.live_threads() != 0 {
        return 0;
    }
    let tgid = task.tgid();
    debug!(&ctx, "process {} ends", tgid);
    leave(KIND_EXIT, task, false);
    0
}

/// Follows a thread no longer.
#[inline(always)]
fn forget(pid: u32) {
    followed::unmark(pid);
    let _ = THREADS.remove(&pid);
}

/// Takes the process out of the tables and tells the agent; `always`, also of one without slot.
#[inline(always)]
fn leave(kind: u32, task: Task, always: bool) {
    let tgid = task.tgid();
    let (mut slot, mut binary) = (NO_SLOT, 0);
    // SAFETY: entries are replaced whole.
    if let Some(known) = unsafe { TGIDS.get(&tgid) } {
        slot = known.slot;
        binary = known.binary;
    } else if !always {
        return;
    }
    let _ = TGIDS.remove(&tgid);
    let counts = GOROUTINES.get(slot);
    send(kind, tgid, slot, binary, counts, |event: *mut Event| {
        // SAFETY: an event that has been reserved.
        unsafe { (*event).visible_tgid = task.visible_tgid() };
        if let Ok(comm) = bpf_get_current_comm() {
            // SAFETY: an event that has been reserved.
            unsafe { (*event).comm = comm };
        }
    });
}
