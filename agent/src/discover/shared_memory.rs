//! Whether two processes are one program in one memory, as between vfork and exec.
//!
//! Go starts every command so: the child runs in the memory of its parent until it execs. It has a
//! process id of its own by then, but no goroutines of its own.

use super::{identity::Pid, proc_fs::ProcFs, stat::Stat};

/// Compares the memory of two processes; `None` where that cannot be told.
pub(super) type SharesMemory = fn(Pid, Pid) -> Option<bool>;

/// `KCMP_VM`: <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/kcmp.h#L10>.
const KCMP_VM: libc::c_int = 1;

/// Asks the kernel (kcmp(2)), which can be built without it and allows it to those only who may
/// read both processes.
pub(super) fn by_kcmp(first: Pid, second: Pid) -> Option<bool> {
    let pid = |pid: Pid| libc::pid_t::try_from(pid.0).ok();
    let (first, second) = (pid(first)?, pid(second)?);
    // SAFETY: the call takes five integers and touches no memory of ours.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, first, second, KCMP_VM, 0, 0) };
    (order >= 0).then_some(order == 0)
}

/// Where pids mean nothing to the kernel that runs us.
pub(super) fn unknown(_: Pid, _: Pid) -> Option<bool> {
    None
}

impl ProcFs {
    /// It was made by vfork, has not yet run exec, and so is no process of its own. Where this
    /// cannot be told it counts as one: the next look will see what it became.
    #[must_use]
    pub fn is_borrowing_memory(&self, pid: Pid, stat: &Stat) -> bool {
        stat.has_not_execed() && (self.shares_memory)(pid, stat.parent) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_kernel_tells() {
        let own = Pid(std::process::id());
        // Without kcmp in the kernel there is nothing to test.
        let Some(same) = by_kcmp(own, own) else { return };
        assert!(same);
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let answer = by_kcmp(own, Pid(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(answer, Some(false));
    }
}
