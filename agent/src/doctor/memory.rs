//! Whether other processes' memory can be read.

use serde::Serialize;

use super::{Check, Host, capability};

const SCOPE: &str = "sys/kernel/yama/ptrace_scope";

/// Whose processes' memory can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Memory {
    /// Nobody's.
    Closed,
    /// That of processes of the same user.
    Own,
    /// Everybody's.
    All,
}

/// What the user and Yama allow (`__ptrace_may_access`):
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/ptrace.c#L281>.
pub(super) fn whose(host: &Host) -> Memory {
    let scope = host.proc(SCOPE);
    let capable = capability::has_ptrace(host);
    match scope.as_deref() {
        Some("3") => Memory::Closed,
        _ if capable => Memory::All,
        // Without procfs no process is found.
        None | Some("0") if capability::are_known(host) => Memory::Own,
        _ => Memory::Closed,
    }
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
