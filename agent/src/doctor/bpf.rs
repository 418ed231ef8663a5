//! Whether the kernel takes eBPF programs from us.

use super::{Check, Host, kernel::RING_BUFFER, trial::Refusal};

/// eBPF works, so far as can be told before goroscope's own programs are loaded.
pub(super) fn works(host: &Host) -> bool {
    let old = host.kernel().is_some_and(|(_, version)| version < RING_BUFFER);
    !old && (host.trials.load_program)().is_ok()
}

/// Tries it.
pub(super) fn syscall(host: &Host) -> Check {
    const NAME: &str = "bpf";
    match (host.trials.load_program)() {
        Ok(()) => Check::pass(NAME, "a program was loaded", "probes can be loaded"),
        Err(Refusal::NotPermitted) => {
            Check::fail(NAME, "loading a program is not permitted", "no probe works")
                .remedy("run as root, or with CAP_BPF and CAP_PERFMON; in a container, privileged or with a seccomp profile that allows bpf(2)")
        }
        Err(Refusal::NotBuiltIn) => {
            Check::fail(NAME, "there is no bpf(2) here", "no probe works")
                .remedy("run a kernel with CONFIG_BPF_SYSCALL=y, and without a seccomp profile that hides bpf(2)")
        }
        Err(Refusal::Other(number)) => {
            let error = std::io::Error::from_raw_os_error(number);
            Check::fail(NAME, format!("loading a program failed: {error}"), "no probe works")
                .remedy("run a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y")
        }
    }
}

/// Only tells whether capabilities are needed.
pub(super) fn unprivileged(host: &Host) -> Check {
    const NAME: &str = "unprivileged_bpf_disabled";
    const FILE: &str = "sys/kernel/unprivileged_bpf_disabled";
    match host.proc(FILE).as_deref() {
        Some(value @ ("1" | "2")) => {
            Check::pass(NAME, value, "eBPF is for those with CAP_BPF or CAP_SYS_ADMIN only")
        }
        Some("0") => Check::pass(NAME, "0", "goroscope does not need it; 1 or 2 is safer"),
        Some(other) => Check::warn(NAME, other, "not known to goroscope"),
        None => Check::pass(NAME, "not there", "nothing is restricted by it"),
    }
}

/// In the mode `confidentiality` programs that read the kernel's memory are refused:
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/trace/bpf_trace.c#L1510>.
pub(super) fn lockdown(host: &Host) -> Check {
    const NAME: &str = "lockdown";
    let Some(text) = host.sys("kernel/security/lockdown") else {
        return Check::pass(NAME, "not there", "nothing is restricted by it");
    };
    let mode = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match mode.map(|(mode, _)| mode) {
        Some("none") => Check::pass(NAME, "none", "nothing is restricted by it"),
        Some("integrity") => Check::pass(NAME, "integrity", "eBPF may still read memory"),
        Some("confidentiality") => Check::fail(
            NAME,
            "confidentiality",
            "eBPF may not read the kernel's memory: no scheduling delay and no thread switches",
        )
        .remedy("boot with lockdown=integrity, or none"),
        _ => Check::warn(NAME, text, "not known to goroscope"),
    }
}
