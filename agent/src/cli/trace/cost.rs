//! What the trace cost the target.

use std::time::Duration;

use goroscope_ebpf_probes::trace::TraceLosses;

use crate::{
    model::trace::Window,
    probe::{RunTimes, TraceRecord},
};

/// What the trace cost the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// Hits of the uprobe.
    pub(super) hits: u64,
    /// Seconds of one, as measured on ourselves before.
    pub(super) hit: f64,
    /// It may be more: the instruction is not one that the kernel emulates, as that is on which the
    /// cost was measured.
    pub(super) at_least: bool,
    /// What all hits cost, as a share of the time that it took, of one core.
    pub(super) share: f64,
    /// What the kernel measured of the programs, where it does.
    pub(super) run_times: Option<RunTimes>,
}

impl Cost {
    pub(super) fn new(
        records: &[TraceRecord],
        losses: TraceLosses,
        hit: f64,
        run_times: Option<RunTimes>,
        window: Window,
    ) -> Self {
        let sent = records.iter().filter(|record| matches!(record, TraceRecord::Transition(_)));
        let sent =
            u64::try_from(sent.count()).unwrap_or(u64::MAX).saturating_add(losses.goroutines);
        // Hits that are of no interest are not sent; the kernel counts them as well, where it
        // counts.
        let hits = run_times.map_or(sent, |times| times.uprobe.0.max(sent));
        let lasted = Duration::from_nanos(window.length()).as_secs_f64();
        let mut cost = Self { hits, hit, at_least: false, share: 0.0, run_times };
        cost.share = if lasted > 0.0 { cost.seconds() / lasted } else { 0.0 };
        cost
    }

    /// Seconds that all hits cost.
    pub(super) fn seconds(&self) -> f64 {
        // Exact up to 2^53 hits.
        #[expect(clippy::cast_precision_loss, reason = "no trace has so many hits")]
        let hits = self.hits as f64;
        hits * self.hit
    }
}
