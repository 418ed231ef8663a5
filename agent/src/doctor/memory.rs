//! Whether other processes' memory can be read.

use super::{Check, Host, capability};

const SCOPE: &str = "sys/kernel/yama/ptrace_scope";

/// It can, of processes of any user; those of one's own are not counted as enough for a host.
pub(super) fn readable(host: &Host) -> bool {
    capability::has_ptrace(host) && host.proc(SCOPE).as_deref() != Some("3")
}

/// Yama is one of the kernel's security modules; it may be missing.
pub(super) fn yama(host: &Host) -> Check {
    const NAME: &str = "yama ptrace_scope";
    match host.proc(SCOPE).as_deref() {
        None => Check::pass(NAME, "not there", "nothing is restricted by it"),
        Some("0") => Check::pass(NAME, "0", "nothing is restricted by it"),
        Some(value @ ("1" | "2")) if capability::has_ptrace(host) => {
            Check::pass(NAME, value, "memory is for those with CAP_SYS_PTRACE, which is there")
        }
        Some(value @ ("1" | "2")) => {
            Check::warn(NAME, value, "memory of other processes asks for CAP_SYS_PTRACE")
                .remedy("run as root, or add CAP_SYS_PTRACE")
        }
        Some("3") => Check::fail(NAME, "3", "nobody may read another process's memory, not even root")
            .remedy("set kernel.yama.ptrace_scope to 1 in /etc/sysctl.d and boot again: 3 cannot be taken back while the host runs"),
        Some(other) => Check::warn(NAME, other, "not known to goroscope"),
    }
}
