//! Resource limits (getrlimit(2)).

use super::{Check, Host, kernel_version::KernelVersion};

/// eBPF's memory is charged to the cgroup since then.
const NOT_LOCKED: KernelVersion = KernelVersion::new(5, 11, 0);
/// Two probes for each of some thousand binaries, and what the agent itself opens.
const FILES: u64 = 16_384;
const MEBIBYTE: u64 = 1 << 20;
/// What the tables of the probes take at their default sizes, rounded up.
const TABLES: u64 = 64 * MEBIBYTE;

/// Before 5.11 eBPF's tables were counted as locked memory.
pub(super) fn memlock(host: &Host) -> Check {
    const NAME: &str = "locked memory";
    if host.kernel().is_none_or(|(_, version)| version >= NOT_LOCKED) {
        return Check::pass(
            NAME,
            "not asked for",
            "this kernel does not count eBPF's tables as such",
        );
    }
    match host.own_limit("Max locked memory") {
        Some(None) => Check::pass(NAME, "no limit", "eBPF's tables have room"),
        Some(Some(bytes)) if bytes >= TABLES => {
            Check::pass(NAME, format!("{} MiB", bytes / MEBIBYTE), "eBPF's tables have room")
        }
        Some(Some(bytes)) => Check::warn(
            NAME,
            format!("{} KiB", bytes / 1024),
            "before 5.11 eBPF's tables count as locked memory, and this may be too little",
        )
        .remedy("ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit"),
        None => Check::warn(NAME, "cannot be told", "/proc/self/limits cannot be read"),
    }
}

/// Each attached probe is a file descriptor.
pub(super) fn open_files(host: &Host) -> Check {
    const NAME: &str = "open files";
    match host.own_limit("Max open files") {
        Some(Some(files)) if files < FILES => Check::warn(
            NAME,
            files.to_string(),
            "each attached probe takes a file descriptor; with many different Go programs this may be too few",
        )
        .remedy("ulimit -n 65536, or LimitNOFILE=65536 in the unit"),
        Some(limit) => {
            let found = limit.map_or_else(|| "no limit".to_owned(), |files| files.to_string());
            Check::pass(NAME, found, "enough for the probes of thousands of programs")
        }
        None => Check::warn(NAME, "cannot be told", "/proc/self/limits cannot be read"),
    }
}
