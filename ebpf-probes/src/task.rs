//! Reads fields of `task_struct` at offsets that the agent took from the running kernel's BTF.
//!
//! The offsets are constants to the verifier (the map that holds them is frozen before the
//! programs are loaded), so each access is checked against the kernel's types and compiles to one
//! load.

use core::{ffi::c_void, ptr};

use goroscope_ebpf_probes::sched::TaskLayout;

/// Set by the agent before loading: [`goroscope_ebpf_probes::sched::TASK_LAYOUT`].
#[unsafe(no_mangle)]
static TASK_LAYOUT: TaskLayout = TaskLayout {
    pid: 0,
    tgid: 0,
    state: 0,
    nvcsw: 0,
    run_delay: 0,
    signal: 0,
    signal_live: 0,
    switch_has_state: 0,
};

/// One of the offsets.
#[inline(always)]
fn offset(field: &'static u32) -> usize {
    // SAFETY: a static is valid; volatile, because the agent changes it behind the compiler.
    unsafe { ptr::read_volatile(field) as usize }
}

/// A `task_struct` that a BTF tracepoint handed over.
#[derive(Clone, Copy)]
pub(crate) struct Task(pub(crate) *const c_void);

impl Task {
    /// Thread id.
    #[inline(always)]
    pub(crate) fn pid(self) -> u32 {
        // SAFETY: the verifier checks the access against the kernel's type.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.pid)).cast()) }
    }

    /// Thread-group id.
    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.tgid)).cast()) }
    }

    /// `__state`.
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.state)).cast()) }
    }

    /// Number of voluntary switches, this one included.
    #[inline(always)]
    pub(crate) fn nvcsw(self) -> u64 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.nvcsw)).cast()) }
    }

    /// Nanoseconds that it has waited for a CPU so far, as `/proc/PID/schedstat` has it; what it
    /// waited for a CPU that it runs on is in there from the time on when it got it.
    #[inline(always)]
    pub(crate) fn run_delay(self) -> u64 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.run_delay)).cast()) }
    }

    /// Number of threads of its group that have not begun to exit.
    #[inline(always)]
    pub(crate) fn live_threads(self) -> u32 {
        // SAFETY: as above; a task that runs through its exit still has its signal_struct.
        let signal: *const c_void =
            unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.signal)).cast()) };
        // SAFETY: as above.
        unsafe { ptr::read_volatile(signal.byte_add(offset(&TASK_LAYOUT.signal_live)).cast()) }
    }
}

/// Does `sched_switch` hand over the previous task's state?
#[inline(always)]
pub(crate) fn switch_has_state() -> bool {
    offset(&TASK_LAYOUT.switch_has_state) != 0
}
