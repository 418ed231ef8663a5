//! What this process may do (capabilities(7)).

use super::{Check, Host};

const DAC_READ_SEARCH: u32 = 2;
const SYS_PTRACE: u32 = 19;
pub(super) const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// Whether a capability is effective.
pub(super) fn has(host: &Host, number: u32) -> bool {
    let effective = host.own_status("CapEff");
    let set = effective.and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0);
    set.checked_shr(number).is_some_and(|set| set & 1 == 1)
}

/// Whether the kernel tells which there are.
pub(super) fn are_known(host: &Host) -> bool {
    host.own_status("CapEff").is_some()
}

pub(super) fn has_ptrace(host: &Host) -> bool {
    has(host, SYS_PTRACE)
}

pub(super) fn has_search(host: &Host) -> bool {
    has(host, DAC_READ_SEARCH)
}

/// CAP_SYS_ADMIN stands in for both since they were split from it.
pub(super) fn bpf(host: &Host) -> Check {
    const NAME: &str = "CAP_BPF, CAP_PERFMON";
    if has(host, SYS_ADMIN) || (has(host, BPF) && has(host, PERFMON)) {
        return Check::pass(NAME, "there", "probes can be loaded");
    }
    let missing: Vec<&str> = [(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(number, _)| !has(host, *number))
        .map(|(_, name)| name)
        .collect();
    Check::fail(NAME, format!("missing: {}", missing.join(", ")), "no probe works")
        .remedy("run as root, or add both capabilities")
}

/// Needed for uprobes where CVE-2025-38466 is fixed.
pub(super) fn admin(host: &Host) -> Check {
    const NAME: &str = "CAP_SYS_ADMIN";
    let needed = host.kernel().is_some_and(|(_, version)| version.uprobes_need_admin());
    if has(host, SYS_ADMIN) {
        Check::pass(NAME, "there", "uprobes can be attached")
    } else if needed {
        Check::fail(
            NAME,
            "missing",
            "this kernel asks for it to attach uprobes (CVE-2025-38466): goroutines are not counted",
        )
        .remedy("run as root, or add the capability; --probes off goes without")
    } else {
        Check::warn(
            NAME,
            "missing",
            "not needed by this kernel's version, unless its distributor brought in the fix of CVE-2025-38466",
        )
        .remedy("add the capability if \"uprobe permission\" fails")
    }
}

/// Without it only processes of the same user can be looked at.
pub(super) fn ptrace(host: &Host) -> Check {
    const NAME: &str = "CAP_SYS_PTRACE";
    if has_ptrace(host) {
        Check::pass(NAME, "there", "every process's executable and memory can be read")
    } else {
        Check::fail(NAME, "missing", "processes of other users cannot be looked at")
            .remedy("run as root, or add the capability (CAP_SYS_ADMIN does not include it)")
    }
}

/// Files of containers belong to other users.
pub(super) fn search(host: &Host) -> Check {
    const NAME: &str = "CAP_DAC_READ_SEARCH";
    if has_search(host) {
        Check::pass(NAME, "there", "files of other users and of containers can be read")
    } else {
        Check::warn(
            NAME,
            "missing",
            "executables that only their owner may read cannot be inspected",
        )
        .remedy("run as root, or add the capability (CAP_SYS_ADMIN does not include it)")
    }
}
