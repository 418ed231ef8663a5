//! Of which conditions somebody is told without asking.
//!
//! Pure, as the rest of the judge: at each tick come a snapshot and the time. Each rule, in a file
//! of its own, says of a process or of one of its sites whether its condition holds, and `held`
//! whether it has held long enough. [`alerts`] has one alert for each that has, and says when it is
//! over.

mod held;
mod goroutines;
mod created;
mod leaks;

mod labels;
mod raised;
pub mod alerts;

use std::{collections::BTreeMap, sync::Arc};

pub use created::Created;
pub use goroutines::Goroutines;
pub use leaks::Leaks;

/// The rules; `None` switches one off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Many goroutines.
    pub goroutines: Option<Goroutines>,
    /// Many goroutines created each second.
    pub created: Option<Created>,
    /// Sites that leak.
    pub leaks: Option<Leaks>,
}

/// Labels of an alert: what tells it from others.
pub type Labels = BTreeMap<&'static str, String>;

/// An alert that is firing, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What tells it from others; they do not change as long as it fires.
    pub labels: Arc<Labels>,
    /// What there is to say of it now.
    pub annotations: BTreeMap<&'static str, String>,
    /// When it began to fire, in seconds since the Unix epoch.
    pub starts_at: f64,
    /// When it was over, likewise.
    pub ends_at: Option<f64>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The condition holds.
    Yes,
    /// It does not.
    No,
    /// That is not known just now.
    Unknown,
}

/// What there is to say of a condition that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    summary: String,
    description: String,
}
