//! How long goroutines that could run waited until they did: `/sched/latencies:seconds`.
//!
//! The runtime tracks one in eight goroutines (`gTrackingPeriod`), so that the counts are an eighth
//! of what happened; the shape needs no correction. From 1.26 other transitions are tracked than
//! before, so that figures compare within a release.
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/proc.go> (`casgstatus`)

use super::{
    error::ReadError,
    layout::Layout,
    memory::Memory,
    release::Minor,
    time_histogram::{self, TimeHistogram},
};
use crate::inspect::address::ProcessAddress;

/// Reads the histogram; `sched` is `runtime.sched`.
///
/// # Errors
/// [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn read(
    memory: &impl Memory,
    layout: &Layout,
    minor: Minor,
    sched: ProcessAddress,
) -> Result<TimeHistogram, ReadError> {
    let at = sched.0.checked_add(u64::from(layout.sched.time_to_run));
    let at = at.ok_or(ReadError::implausible("runtime.sched", "it is no address"))?;
    time_histogram::read(memory, &layout.histogram, minor, ProcessAddress(at))
}
