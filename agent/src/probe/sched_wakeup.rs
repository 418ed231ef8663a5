//! Threads that become runnable: `sched_wakeup` and `sched_wakeup_new`.
//!
//! Feeds `goroscope_thread_sched_delay_seconds`.

use aya::{Btf, Ebpf};

use super::{ProbeError, load::tracepoint};

/// Attaches both.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    tracepoint(ebpf, btf, "sched_wakeup")?;
    tracepoint(ebpf, btf, "sched_wakeup_new")
}
