//! Whether all processes of the host are in sight.

use super::{Check, Host};

/// `PROC_PID_INIT_INO`, the host's own pid namespace:
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L43>.
const HOST: &str = "pid:[4026531836]";

/// From within a container, processes outside are not seen, and eBPF tells of their numbers.
pub(super) fn pid(host: &Host) -> Check {
    const NAME: &str = "pid namespace";
    match host.proc_link("self/ns/pid").as_deref() {
        Some(HOST) => Check::pass(NAME, "the host's", "every process of the host is in sight"),
        Some(other) => Check::warn(
            NAME,
            format!("one of its own, {other}"),
            "only the processes of this namespace are in sight, and probes do not tell which is which",
        )
        .remedy("run in the host's: hostPID: true in Kubernetes, --pid=host in Docker"),
        None => Check::warn(NAME, "cannot be told", "/proc/self/ns/pid cannot be read")
            .remedy("mount procfs at /proc"),
    }
}
