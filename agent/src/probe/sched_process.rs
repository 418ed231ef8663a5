//! Processes that exec and end: `sched_process_exec` and `sched_process_exit`.
//!
//! Feeds no metric; sends the events of [`super::events`].

use aya::{Btf, Ebpf};

use super::{ProbeError, load::tracepoint};

/// Attaches both.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    tracepoint(ebpf, btf, "sched_process_exec")?;
    tracepoint(ebpf, btf, "sched_process_exit")
}
