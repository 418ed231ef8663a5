//! What is counted, for the metrics.

use crate::{model::exporting::Exporting, push::count::Count};

/// What became of the requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: Count,
    pub(super) partial: Count,
    pub(super) failed: Count,
    pub(super) rejected: Count,
    pub(super) retries: Count,
    pub(super) refused_points: Count,
}

impl Tally {
    /// What it comes to now.
    pub(super) fn exporting(&self) -> Exporting {
        Exporting {
            delivered: self.delivered.get(),
            partial: self.partial.get(),
            failed: self.failed.get(),
            rejected: self.rejected.get(),
            retries: self.retries.get(),
            refused_points: self.refused_points.get(),
        }
    }
}
