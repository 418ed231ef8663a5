//! A histogram of delays.

use goroscope_ebpf_probes::buckets::BUCKETS;

/// Run-queue delays, in the buckets of [`goroscope_ebpf_probes::buckets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayHistogram {
    /// Observations in each bucket (not cumulative).
    pub buckets: [u64; BUCKETS],
    /// Sum of all delays, in nanoseconds.
    pub sum_nanoseconds: u64,
}

impl Default for DelayHistogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_nanoseconds: 0 }
    }
}

impl DelayHistogram {
    /// Number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}
