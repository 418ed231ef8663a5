//! Threads that get and leave the CPU: `sched_switch`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds` and `goroscope_thread_switches_total`. It runs at
//! every switch of the host, so what is not watched must cost next to nothing, and nothing is sent.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use goroscope_ebpf_probes::{
    buckets::{BUCKETS, bucket},
    sched::{Running, SchedCounts, ThreadState},
};

use crate::{
    followed,
    maps::{RUNNING, SCHED, THREADS, add},
    task::{self, Task},
};

/// `TASK_DEAD`: the thread will not come back.
/// <https://github.com/torvalds/linux/blob/v6.18/include/linux/sched.h#L113>
const DEAD: u32 = 0x80;

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next,
/// unsigned int prev_state)`; the state since Linux 5.18.
///
/// Delays and kinds of switches are the kernel's own account of the thread, read when it leaves
/// the CPU: no clock is read, nothing is estimated. The look-up of a thread is the dear part; there
/// is one for each time that a followed thread runs, and none for the others.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let Some(running) = RUNNING.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's value; the run queue's lock is held, so nothing comes in between.
    let running = unsafe { &mut *running };
    if running.pid != 0 {
        left(&ctx, running);
        running.pid = 0;
    }
    let next = Task(ctx.arg(2));
    let pid = next.pid();
    // Thread 0 is a CPU's idle thread.
    if pid != 0 && followed::perhaps(pid) {
        running.pid = pid;
        running.nvcsw = next.nvcsw();
    }
    0
}

/// The thread left the CPU.
#[inline(always)]
fn left(ctx: &BtfTracePointContext, running: &Running) {
    let prev = Task(ctx.arg(1));
    // It has another id after it has execed.
    if prev.pid() != running.pid {
        return;
    }
    let Some(thread) = THREADS.get_ptr_mut(&running.pid) else {
        return;
    };
    // SAFETY: a value of the map; the run queue's lock is held.
    let thread = unsafe { &mut *thread };
    let Some(counts) = SCHED.get_ptr_mut(thread.slot) else {
        return;
    };
    // The kernel counts a switch before it tells of it. What it did not tell of (a few switches are
    // missed while some other tracer comes or goes) is in its counts at the next one.
    let now = ThreadState {
        run_delay: prev.run_delay(),
        nvcsw: prev.nvcsw(),
        nivcsw: prev.nivcsw(),
        ..*thread
    };
    let (voluntary, preempted) = if thread.run_delay == ThreadState::UNKNOWN {
        let voluntary = now.nvcsw != running.nvcsw;
        (u64::from(voluntary), u64::from(!voluntary))
    } else {
        waited(counts, now.run_delay.wrapping_sub(thread.run_delay));
        (now.nvcsw.wrapping_sub(thread.nvcsw), now.nivcsw.wrapping_sub(thread.nivcsw))
    };
    *thread = now;
    // SAFETY: values of the map.
    unsafe {
        if voluntary != 0 {
            add(&raw mut (*counts).voluntary, voluntary);
        }
        if preempted != 0 {
            add(&raw mut (*counts).preempted, preempted);
        }
    }
    let state = if task::switch_has_state() { ctx.arg::<u64>(3) as u32 } else { prev.state() };
    if state & DEAD != 0 {
        followed::unmark(running.pid);
        let _ = THREADS.remove(&running.pid);
    }
}

/// Counts a delay of so many nanoseconds.
#[inline(always)]
fn waited(counts: *mut SchedCounts, delay: u64) {
    let index = bucket(delay);
    // The verifier does not follow the arithmetic; so it is told.
    if index < BUCKETS {
        // SAFETY: a value of the map, and the index is within it.
        unsafe { add((&raw mut (*counts).delay_buckets).cast::<u64>().add(index), 1) };
    }
    // SAFETY: a value of the map.
    add(unsafe { &raw mut (*counts).delay_sum }, delay);
}
