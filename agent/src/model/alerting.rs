//! What became of the alerts that the agent itself sends.

use std::sync::Arc;

/// All alerts of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerting {
    /// Alerts that are firing.
    pub firing: u64,
    /// Alerts that an Alertmanager will never learn of.
    pub dropped: u64,
    /// By Alertmanager.
    pub alertmanagers: Vec<Deliveries>,
}

/// Alerts sent to one Alertmanager, those sent again included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Its address.
    pub url: Arc<str>,
    /// It took them.
    pub delivered: u64,
    /// It could not be reached, or was not able to take them; they are sent again.
    pub failed: u64,
    /// It refused them.
    pub rejected: u64,
}
