//! Whether probes can be attached to functions of programs.

use super::{Check, Host, trial::Refusal};

const PMU: &str = "bus/event_source/devices/uprobe/type";

/// The event source that uprobes are attached through.
pub(super) fn pmu(host: &Host) -> Check {
    const NAME: &str = "uprobes";
    match host.sys(PMU).and_then(|kind| kind.parse::<u32>().ok()) {
        Some(kind) => Check::pass(NAME, format!("event source {kind}"), "the kernel has uprobes"),
        None => Check::fail(NAME, format!("no /sys/{PMU}"), "goroutines are not counted")
            .remedy("run a kernel with CONFIG_UPROBE_EVENTS=y and CONFIG_PERF_EVENTS=y, and mount sysfs at /sys"),
    }
}

/// Tries it, as far as the kernel's look at the permission.
pub(super) fn permission(host: &Host) -> Check {
    const NAME: &str = "uprobe permission";
    let Some(kind) = host.sys(PMU).and_then(|kind| kind.parse().ok()) else {
        return Check::warn(NAME, "not tried", "there are no uprobes to try it with");
    };
    match (host.trials.open_uprobe)(kind) {
        Ok(()) => Check::pass(NAME, "granted", "probes can be attached"),
        Err(Refusal::NotPermitted) => {
            Check::fail(NAME, "denied", "goroutines are not counted").remedy(
                "run as root, or with CAP_SYS_ADMIN (CAP_PERFMON is enough on kernels without the fix of CVE-2025-38466)",
            )
        }
        Err(Refusal::NotBuiltIn | Refusal::Other(_)) => {
            Check::fail(NAME, "there is no perf_event_open(2) here", "goroutines are not counted")
                .remedy("run a kernel with CONFIG_PERF_EVENTS=y, and without a seccomp profile that hides perf_event_open(2)")
        }
    }
}

/// Debian and Ubuntu know stricter levels than the kernel's own.
pub(super) fn paranoid(host: &Host) -> Check {
    const NAME: &str = "perf_event_paranoid";
    let value = host.proc("sys/kernel/perf_event_paranoid");
    match value.as_deref().map(str::parse::<i64>) {
        Some(Ok(level)) if level >= 3 => {
            let found = level.to_string();
            if super::capability::has(host, super::capability::SYS_ADMIN) {
                Check::pass(NAME, found, "perf is for those with CAP_SYS_ADMIN, which is there")
            } else {
                Check::warn(NAME, found, "on Debian and Ubuntu this asks for CAP_SYS_ADMIN")
                    .remedy("add CAP_SYS_ADMIN, or: sysctl kernel.perf_event_paranoid=2")
            }
        }
        Some(Ok(level)) => {
            Check::pass(NAME, level.to_string(), "does not keep those with CAP_PERFMON off")
        }
        Some(Err(_)) => Check::warn(NAME, value.unwrap_or_default(), "not known to goroscope"),
        None => Check::warn(NAME, "not there", "the kernel seems to be without perf events")
            .remedy("run a kernel with CONFIG_PERF_EVENTS=y"),
    }
}
