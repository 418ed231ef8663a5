//! Threads that get and leave a CPU, each time: `sched_switch`.
//!
//! Feeds `goroscope trace` only.

use aya::{Btf, Ebpf};

use super::{ProbeError, load::tracepoint_as};

/// The program.
pub(super) const PROGRAM: &str = "trace_switch";

/// Attaches it.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    tracepoint_as(ebpf, btf, PROGRAM, "sched_switch")
}
