//! The kernel itself: its release and its type information.

use super::{Check, Host, kernel_version::KernelVersion};

const COOKIES: KernelVersion = KernelVersion::new(5, 15, 0);
pub(super) const RING_BUFFER: KernelVersion = KernelVersion::new(5, 8, 0);

/// Ring buffers came with 5.8, cookies of uprobes with 5.15.
pub(super) fn version(host: &Host) -> Check {
    const NAME: &str = "kernel";
    let Some((release, version)) = host.kernel() else {
        return Check::warn(
            NAME,
            "/proc/sys/kernel/osrelease does not say",
            "the kernel's age cannot be judged; what works shows when it is tried",
        );
    };
    let newer = "run a kernel of 5.15 or later";
    if version < RING_BUFFER {
        Check::fail(NAME, release, "too old for eBPF ring buffers (5.8): no probe works")
            .remedy(newer)
    } else if version < COOKIES && release.contains(".el9") {
        Check::warn(NAME, release, "the number is old, but Red Hat brought eBPF up to date in it")
    } else if version < COOKIES {
        Check::fail(
            NAME,
            release,
            "too old for cookies of uprobes (5.15): goroutines are not counted",
        )
        .remedy(newer)
    } else {
        Check::pass(NAME, release, "new enough for all probes")
    }
}

/// Offsets in the kernel's structures are taken from its BTF.
pub(super) fn btf(host: &Host) -> Check {
    const NAME: &str = "btf";
    if host.has_sys("kernel/btf/vmlinux") {
        Check::pass(NAME, "/sys/kernel/btf/vmlinux", "the kernel's structures are known")
    } else {
        Check::fail(
            NAME,
            "no /sys/kernel/btf/vmlinux",
            "no scheduling delay and no thread switches; processes are seen by scans only, not when they start",
        )
        .remedy("run a kernel with CONFIG_DEBUG_INFO_BTF=y, and mount sysfs at /sys")
    }
}
