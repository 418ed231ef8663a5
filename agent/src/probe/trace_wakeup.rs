//! Threads that want a CPU, each time: `sched_wakeup` and `sched_wakeup_new`.
//!
//! Feeds `goroscope trace` only.

use aya::{Btf, Ebpf};

use super::{ProbeError, load::tracepoint_as};

/// The programs.
pub(super) const PROGRAMS: [&str; 2] = ["trace_wakeup", "trace_wakeup_new"];

/// Attaches both.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    let [old, new] = PROGRAMS;
    tracepoint_as(ebpf, btf, old, "sched_wakeup")?;
    tracepoint_as(ebpf, btf, new, "sched_wakeup_new")
}
