//! What is counted, for the metrics.

use std::sync::Arc;

use crate::{
    model::alerting::{Alerting, Deliveries},
    push::count::Count,
};

/// All alerts.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) firing: Count,
    pub(super) refused: Count,
    pub(super) senders: Vec<Arc<SenderTally>>,
}

/// Those of one Alertmanager.
#[derive(Debug)]
pub(super) struct SenderTally {
    pub(super) url: Arc<str>,
    pub(super) delivered: Count,
    pub(super) failed: Count,
    pub(super) rejected: Count,
    pub(super) dropped: Count,
}

impl SenderTally {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            delivered: Count::default(),
            failed: Count::default(),
            rejected: Count::default(),
            dropped: Count::default(),
        }
    }
}

impl Tally {
    /// What it comes to now.
    pub(super) fn alerting(&self) -> Alerting {
        let lost = |sender: &Arc<SenderTally>| sender.rejected.get() + sender.dropped.get();
        Alerting {
            firing: self.firing.get(),
            dropped: self.refused.get() + self.senders.iter().map(lost).sum::<u64>(),
            alertmanagers: self
                .senders
                .iter()
                .map(|sender| Deliveries {
                    url: Arc::clone(&sender.url),
                    delivered: sender.delivered.get(),
                    failed: sender.failed.get(),
                    rejected: sender.rejected.get(),
                })
                .collect(),
        }
    }
}
