//! Threads that get and leave the CPU: `sched_switch`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds` and `goroscope_thread_switches_total`. It runs at
//! every switch of the host, so what is not watched must cost next to nothing, and nothing is sent.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use goroscope_ebpf_probes::{
    buckets::{BUCKETS, bucket},
    sched::ThreadState,
};

use crate::{
    maps::{SCHED, THREADS, add},
    task::{self, Task},
};

/// `TASK_DEAD`: the thread will not come back.
/// <https://github.com/torvalds/linux/blob/v6.18/include/linux/sched.h#L113>
const DEAD: u32 = 0x80;

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next,
/// unsigned int prev_state)`; the state since Linux 5.18.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let prev = Task(ctx.arg(1));
    let prev_pid = prev.pid();
    let next_pid = Task(ctx.arg(2)).pid();
    // Thread 0 is a CPU's idle thread.
    if prev_pid != 0
        && let Some(thread) = THREADS.get_ptr_mut(&prev_pid)
    {
        let preempt = ctx.arg::<u64>(0) & 1 != 0;
        let state = if task::switch_has_state() { ctx.arg::<u64>(3) as u32 } else { prev.state() };
        // SAFETY: a value of the map; the run queue's lock is held.
        left(unsafe { &mut *thread }, preempt || state == 0, prev.nvcsw());
        if state & DEAD != 0 {
            let _ = THREADS.remove(&prev_pid);
        }
    }
    if next_pid != 0
        && let Some(thread) = THREADS.get_ptr_mut(&next_pid)
    {
        // SAFETY: as above.
        arrived(unsafe { &mut *thread });
    }
    0
}

/// The thread left the CPU.
#[inline(always)]
fn left(thread: &mut ThreadState, runnable: bool, nvcsw: u64) {
    // The kernel's own count says which kind of switch this was, whatever happened to the state
    // meanwhile; at the first switch there is nothing to compare it with.
    let voluntary =
        if thread.nvcsw == ThreadState::UNKNOWN { !runnable } else { nvcsw != thread.nvcsw };
    thread.nvcsw = nvcsw;
    // SAFETY: a helper without arguments.
    thread.runnable_since = if runnable { unsafe { bpf_ktime_get_ns() } } else { 0 };
    if let Some(counts) = SCHED.get_ptr_mut(thread.slot) {
        // SAFETY: a value of the map.
        unsafe {
            add(
                if voluntary { &raw mut (*counts).voluntary } else { &raw mut (*counts).preempted },
                1,
            );
        }
    }
}

/// The thread got the CPU.
#[inline(always)]
fn arrived(thread: &mut ThreadState) {
    let since = thread.runnable_since;
    if since == 0 {
        return;
    }
    thread.runnable_since = 0;
    // SAFETY: a helper without arguments.
    let delay = unsafe { bpf_ktime_get_ns() }.saturating_sub(since);
    let Some(counts) = SCHED.get_ptr_mut(thread.slot) else {
        return;
    };
    let index = bucket(delay);
    // The verifier does not follow the arithmetic; so it is told.
    if index < BUCKETS {
        // SAFETY: a value of the map, and the index is within it.
        unsafe { add((&raw mut (*counts).delay_buckets).cast::<u64>().add(index), 1) };
    }
    // SAFETY: a value of the map.
    add(unsafe { &raw mut (*counts).delay_sum }, delay);
}
