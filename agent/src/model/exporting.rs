//! What became of the measurements that the agent itself pushes.

/// Requests to a collector, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exporting {
    /// It took all of it.
    pub delivered: u64,
    /// It took a part.
    pub partial: u64,
    /// It could not be reached, or was not able to take it, until the next push was due.
    pub failed: u64,
    /// It refused.
    pub rejected: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Points that it refused, of requests of which it took a part.
    pub refused_points: u64,
}
