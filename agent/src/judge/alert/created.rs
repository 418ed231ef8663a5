//! Many goroutines created each second.

use std::time::Duration;

use super::{Says, Words, labels::named};
use crate::model::{bounded::bounded, process::Process};

/// Readings that are closer to each other tell no rate.
const LEAST_SPAN: Duration = Duration::from_millis(50);

/// A process creates more goroutines a second than it should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Created {
    /// More than these a second, on average over the time between two ticks.
    pub per_second: f64,
    /// For so long.
    pub hold: Duration,
}

/// How many a process had created at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    at: Duration,
    created: u64,
}

/// How fast it created them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) says: Says,
    /// Since when.
    pub(super) from: Duration,
    pub(super) per_second: f64,
}

impl Created {
    pub(super) const NAME: &str = "GoroscopeGoroutineCreationHigh";

    /// Judges the time since `last`, which becomes the present reading.
    pub(super) fn judge(
        &self,
        last: &mut Option<Reading>,
        process: &Process,
        at: Duration,
    ) -> Rate {
        let unknown = Rate { says: Says::Unknown, from: at, per_second: 0.0 };
        let Some(created) = process.created() else { return unknown };
        let Some(before) = *last else {
            *last = Some(Reading { at, created });
            return unknown;
        };
        let span = at.saturating_sub(before.at);
        if span < LEAST_SPAN {
            return unknown;
        }
        *last = Some(Reading { at, created });
        // Two readings in which the process was caught at work may be off by a little.
        let more = created.saturating_sub(before.created);
        let per_second = more as f64 / span.as_secs_f64();
        let says = if per_second > self.per_second { Says::Yes } else { Says::No };
        Rate { says, from: before.at, per_second }
    }

    pub(super) fn words(&self, process: &Process, rate: &Rate) -> Words {
        let Self { per_second, hold } = self;
        let now = rate.per_second;
        Words {
            summary: format!(
                "{} (pid {}) creates {now:.0} goroutines a second",
                bounded(process.exe_base()),
                process.id.pid
            ),
            description: format!(
                "{} creates {now:.0} goroutines a second, and more than {per_second} for {} s or \
                 longer; {} live.",
                named(process),
                hold.as_secs_f64(),
                process.goroutines().unwrap_or(0)
            ),
        }
    }
}
