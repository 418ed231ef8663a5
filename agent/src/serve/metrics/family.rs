//! A family of metrics, and the samples it has at a scrape.

use super::{histogram::Histogram, label::Labels, scrape::Scrape};

/// One family: what it is called and how it is made.
pub(super) struct Family {
    /// The name without what follows from the unit and the kind: `goroscope_probe_cost` is exposed
    /// as `goroscope_probe_cost_seconds_total`.
    pub name: &'static str,
    /// One sentence without a full stop, quotes, backslashes and line breaks.
    pub help: &'static str,
    /// What it counts, unless it counts things.
    pub unit: Option<Unit>,
    /// Its kind.
    pub kind: Kind,
    /// Makes the samples. No two have equal labels, and all values are of the kind.
    pub samples: fn(&Scrape<'_>) -> Vec<Sample>,
}

/// The unit: the end of the family's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `_seconds`
    Seconds,
    /// `_bytes`
    Bytes,
}

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; `_total` is the end of its name.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution, both classic and native.
    Histogram,
    /// Always 1, its labels say all; `_info` is the end of its name.
    Info,
}

/// One series at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A number of things.
    Count(u64),
    /// A measure.
    Real(f64),
    /// A distribution.
    Histogram(Box<Histogram>),
    /// Of an info.
    One,
}

impl Sample {
    /// A number of things.
    pub(super) fn count(labels: Labels, count: u64) -> Self {
        Self { labels, value: Value::Count(count) }
    }

    /// A measure.
    pub(super) fn real(labels: Labels, measure: f64) -> Self {
        Self { labels, value: Value::Real(measure) }
    }
}
