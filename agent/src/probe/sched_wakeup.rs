//! Threads that are born: `sched_wakeup_new`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds` and `goroscope_thread_switches_total`.

use aya::{Btf, Ebpf};

use super::{ProbeError, load::tracepoint};

/// Attaches it.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    tracepoint(ebpf, btf, "sched_wakeup_new")
}
