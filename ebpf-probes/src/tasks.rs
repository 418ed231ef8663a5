//! All threads of the host with both their ids: an iterator over `task`.
//!
//! Feeds no metric: only where the agent lives in a pid namespace of its own, it reads from here
//! under which ids the kernel knows the threads that it sees.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_seq_write;
use goroscope_ebpf_probes::ids::Ids;

use crate::task::Task;

/// `struct bpf_iter__task`: <https://github.com/torvalds/linux/blob/v6.18/kernel/bpf/task_iter.c>.
#[repr(C)]
struct Context {
    /// `struct bpf_iter_meta`, which begins with the pointer to the `seq_file`.
    meta: *const *mut c_void,
    /// `struct task_struct`; null at the end.
    task: *const c_void,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn tasks(ctx: *mut c_void) -> i32 {
    let ctx: *const Context = ctx.cast();
    // SAFETY: the kernel hands over such a context; the verifier checks the accesses.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    if task.is_null() {
        return 0;
    }
    let task = Task(task);
    let ids = Ids { pid: task.pid(), visible_pid: task.visible_pid() };
    if ids.visible_pid != 0 {
        // SAFETY: as above; the record is as long as it says. A full buffer is grown by the kernel,
        // which then asks again.
        unsafe {
            let seq = *meta;
            bpf_seq_write(seq.cast(), (&raw const ids).cast_mut().cast(), size_of::<Ids>() as u32);
        }
    }
    0
}
