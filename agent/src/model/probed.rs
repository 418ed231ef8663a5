//! What the probes counted of a process.

/// Births and deaths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Births {
    /// Goroutines born.
    pub created: u64,
    /// Goroutines that ended.
    pub exited: u64,
}

/// How far the probes' counts are from the runtime's own, in goroutines; above zero where the
/// probes counted more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Of births.
    pub created: i64,
    /// Of deaths.
    pub exited: i64,
}

/// What the probes counted of a process while they were attached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Probed {
    /// Births and deaths.
    pub births: Births,
    /// Births and deaths that are in `births` but in no site, because a table was full.
    pub site_losses: u64,
    /// Number of uprobes attached for it now (shared with the other processes of its binary).
    pub attached: u64,
    /// How often they were taken off because they cost more than the budget.
    pub gaps: u64,
    /// How long they were off for that reason, in seconds, the present gap included.
    pub gap_seconds: f64,
    /// Compared with the runtime's own counts; `None` where that cannot be told (yet).
    pub drift: Option<Drift>,
}

impl Probed {
    /// Uprobe hits.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.births.created.saturating_add(self.births.exited)
    }
}
