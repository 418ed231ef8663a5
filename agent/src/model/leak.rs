//! What the judge says of a creation site.

use std::sync::Arc;

use super::site::SiteName;

/// How sure it is. Sites that are fine, or of which too little is known yet, have no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The evidence points there.
    Suspected,
    /// The evidence has held long enough.
    Confirmed,
}

impl Verdict {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A creation site that is judged to leak goroutines.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// Which site.
    pub site: SiteName,
    /// How sure.
    pub verdict: Verdict,
    /// What most of its goroutines wait for, or their state, by the runtime's own words.
    pub wait_reason: Arc<str>,
    /// Goroutines that it holds.
    pub goroutines: u64,
    /// How many more there are each minute.
    pub per_minute: f64,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// When the evidence began to point there, in seconds since the Unix epoch.
    pub since: f64,
    /// When it had held long enough, likewise.
    pub confirmed_at: Option<f64>,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
}

/// One thing that speaks for a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Name of the rule: `growth`, `survivors`, `stillness`, `waiting`.
    pub rule: &'static str,
    /// What it found, as a sentence without a full stop.
    pub words: String,
    /// The number behind it.
    pub value: f64,
}
