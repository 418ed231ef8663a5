//! Programs that may not make a system call, as a container's filter does it.

use std::{io, os::unix::process::CommandExt as _, process::Command};

/// Has the kernel answer "not permitted" to a program's calls of perf_event_open(2).
pub fn without_perf_events(command: &mut Command) -> &mut Command {
    let number = u32::try_from(libc::SYS_perf_event_open).unwrap_or_default();
    let operation = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).unwrap_or_default();
    // The number is the first word of `struct seccomp_data`.
    let mut filter = [
        operation(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        operation(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        operation(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        operation(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let set = move || {
        let length = u16::try_from(filter.len()).unwrap_or_default();
        let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
        let zero: libc::c_ulong = 0;
        // SAFETY: it takes numbers only.
        let bound = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, zero, zero, zero) };
        let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
        // SAFETY: the filter outlives the call, which copies it, and its length is told.
        let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        if bound != 0 || set != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec there are only two system calls, and nothing is allocated.
    unsafe { command.pre_exec(set) }
}
