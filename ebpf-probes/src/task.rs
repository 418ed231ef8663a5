//! Reads fields of `task_struct` at offsets that the agent took from the running kernel's BTF.
//!
//! The offsets are constants to the verifier (the map that holds them is frozen before the
//! programs are loaded), so each access is checked against the kernel's types and compiles to one
//! load.
//!
//! Ids are the kernel's own here. Where the agent lives in a pid namespace of its own (a container
//! without the host's), `/proc` shows it others; the translation is left to the rare events and
//! to [`crate::tasks`], so that it costs nothing at a hit or a switch.

use core::{ffi::c_void, ptr};

use aya_ebpf::helpers::bpf_probe_read_kernel;
use goroscope_ebpf_probes::sched::TaskLayout;

/// Set by the agent before loading: [`goroscope_ebpf_probes::sched::TASK_LAYOUT`].
#[unsafe(no_mangle)]
static TASK_LAYOUT: TaskLayout = TaskLayout {
    pid: 0,
    tgid: 0,
    state: 0,
    nvcsw: 0,
    nivcsw: 0,
    run_delay: 0,
    signal: 0,
    signal_live: 0,
    switch_has_state: 0,
    namespace: 0,
    thread_pid: 0,
    signal_tgid: 0,
    pid_level: 0,
    pid_numbers: 0,
    upid_nr: 0,
    upid_ns: 0,
    namespace_inum: 0,
    reserved: 0,
};

/// One of the offsets.
#[inline(always)]
fn offset(field: &'static u32) -> usize {
    // SAFETY: a static is valid; volatile, because the agent changes it behind the compiler.
    unsafe { ptr::read_volatile(field) as usize }
}

/// Pid namespaces are nested this deep at most: `MAX_PID_NS_LEVEL`,
/// <https://github.com/torvalds/linux/blob/v6.18/include/linux/pid_namespace.h#L16>.
const DEEPEST: u32 = 32;
/// Size of `struct upid`.
const UPID: usize = 16;

/// Are ids translated?
#[inline(always)]
fn translated() -> bool {
    offset(&TASK_LAYOUT.namespace) != 0
}

/// The pointer at an address of the kernel; null where there is none.
#[inline(always)]
fn pointer(at: *const c_void) -> *const c_void {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(at.cast::<*const c_void>()) }.unwrap_or(ptr::null())
}

/// The number at an address of the kernel; 0 where there is none.
#[inline(always)]
fn word(at: *const c_void) -> u32 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(at.cast::<u32>()) }.unwrap_or(0)
}

/// The id that a `struct pid` has in the agent's namespace; 0 where it has none.
///
/// With reads by the helper, for the array of numbers is longer than its type says.
#[inline(always)]
fn number(pid: *const c_void) -> u32 {
    let level = word(pid.wrapping_byte_add(offset(&TASK_LAYOUT.pid_level)));
    let mut index = 0;
    while index < DEEPEST && index <= level {
        let upid = pid.wrapping_byte_add(offset(&TASK_LAYOUT.pid_numbers) + index as usize * UPID);
        let namespace = pointer(upid.wrapping_byte_add(offset(&TASK_LAYOUT.upid_ns)));
        let inum = word(namespace.wrapping_byte_add(offset(&TASK_LAYOUT.namespace_inum)));
        if inum as usize == offset(&TASK_LAYOUT.namespace) {
            return word(upid.wrapping_byte_add(offset(&TASK_LAYOUT.upid_nr)));
        }
        index += 1;
    }
    0
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

    /// Thread id in the agent's pid namespace; 0 where it is not in it.
    #[inline(always)]
    pub(crate) fn visible_pid(self) -> u32 {
        if !translated() {
            return self.pid();
        }
        number(pointer(self.0.wrapping_byte_add(offset(&TASK_LAYOUT.thread_pid))))
    }

    /// Thread-group id in the agent's pid namespace; 0 where it is not in it.
    #[inline(always)]
    pub(crate) fn visible_tgid(self) -> u32 {
        if !translated() {
            return self.tgid();
        }
        let signal = pointer(self.0.wrapping_byte_add(offset(&TASK_LAYOUT.signal)));
        number(pointer(signal.wrapping_byte_add(offset(&TASK_LAYOUT.signal_tgid))))
    }

    /// `__state`.
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.state)).cast()) }
    }

    /// Number of switches that were not voluntary; this one included, where it is one.
    #[inline(always)]
    pub(crate) fn nivcsw(self) -> u64 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(self.0.byte_add(offset(&TASK_LAYOUT.nivcsw)).cast()) }
    }

    /// Number of voluntary switches; this one included, where it is one.
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
