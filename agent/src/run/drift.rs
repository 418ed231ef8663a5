//! Whether the probes count what the runtime counts.
//!
//! Both count births since different moments, so that they differ by a number that never changes
//! while the probes are attached. Where both stand still for a while, that number is known exactly.
//! A process that is busy creates goroutines between the reading of the one and of the other, and
//! some have been counted by the one and not yet by the other: a comparison gives a range in which
//! the number lies. Ranges that have nothing in common mean that one of the two has lost something,
//! and at least as much as lies between them.

use std::time::{Duration, Instant};

use crate::model::probed::{Births, Drift};

/// For so long both must stand still.
const QUIET: Duration = Duration::from_secs(1);
/// What is seen in so many comparisons in a row, each so long after the one before, is no matter of
/// a moment.
const LASTING: u32 = 5;
const APART: Duration = Duration::from_secs(1);

/// Compares the counts of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DriftMeter {
    created: Offset,
    exited: Offset,
    /// What was counted last, and since when it has been that.
    last: Option<(Comparison, Instant)>,
}

/// Counts of both, read one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Of the probes, before and after those of the runtime were read.
    pub(super) before: Births,
    pub(super) after: Births,
    pub(super) runtime: Births,
    /// Goroutines that may have been counted by the one, and not yet by the other.
    pub(super) in_between: u64,
}

impl DriftMeter {
    /// Takes a comparison.
    pub(super) fn compare(&mut self, comparison: Comparison, now: Instant) {
        let Comparison { before, after, runtime, in_between } = comparison;
        let since = match self.last {
            Some((last, since)) if last == comparison => since,
            _ => now,
        };
        self.last = Some((comparison, since));
        let quiet = before == after && now.saturating_duration_since(since) >= QUIET;
        let in_between = if quiet { 0 } else { in_between };
        let range = |before: u64, runtime: u64, after: u64| {
            let (runtime, slack) = (i128::from(runtime), i128::from(in_between));
            (runtime - i128::from(after) - slack, runtime - i128::from(before) + slack)
        };
        self.created.take(range(before.created, runtime.created, after.created), quiet, now);
        self.exited.take(range(before.exited, runtime.exited, after.exited), quiet, now);
    }

    /// What the probes counted more than the runtime; `None` before the first comparison.
    pub(super) fn drift(&self) -> Option<Drift> {
        self.created.range?;
        Some(Drift { created: self.created.drift, exited: self.exited.drift })
    }
}

/// By how much the runtime's count is above that of the probes.
#[derive(Clone, Copy, Debug, Default)]
struct Offset {
    /// The least and the most that it can be, after all comparisons.
    range: Option<(i128, i128)>,
    /// Comparisons in a row that contradict the range, and when the last of them was.
    contradictions: u32,
    last: Option<Instant>,
    drift: i64,
}

impl Offset {
    /// Takes the range of a comparison; `exact` where both stood still.
    fn take(&mut self, (least, most): (i128, i128), exact: bool, now: Instant) {
        let (known_least, known_most) = self.range.unwrap_or((least, most));
        let common = (known_least.max(least), known_most.min(most));
        if common.0 <= common.1 {
            *self = Self { range: Some(common), ..Self::default() };
            return;
        }
        let is_apart = |last: Instant| now.saturating_duration_since(last) >= APART;
        if self.last.is_none_or(is_apart) {
            self.contradictions = self.contradictions.saturating_add(1);
            self.last = Some(now);
        }
        if exact || self.contradictions >= LASTING {
            let gap = if least > known_most { known_most - least } else { known_least - most };
            self.drift = i64::try_from(gap).unwrap_or(i64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comparisons two seconds apart: probes before, runtime, probes after.
    fn drift(comparisons: &[(u64, u64, u64)]) -> Option<i64> {
        let births = |created| Births { created, exited: 0 };
        let mut meter = DriftMeter::default();
        let mut now = Instant::now();
        for &(before, runtime, after) in comparisons {
            let comparison = Comparison {
                before: births(before),
                runtime: births(runtime),
                after: births(after),
                in_between: 10,
            };
            meter.compare(comparison, now);
            now += Duration::from_secs(2);
        }
        meter.drift().map(|drift| drift.created)
    }

    #[test]
    fn nothing_is_said_before_the_first_comparison() {
        assert_eq!(drift(&[]), None);
    }

    #[test]
    fn older_goroutines_are_no_drift() {
        assert_eq!(drift(&[(0, 1000, 0), (0, 1000, 0), (5, 1005, 5), (5, 1005, 5)]), Some(0));
    }

    #[test]
    fn what_happens_during_a_comparison_is_no_drift() {
        assert_eq!(drift(&[(0, 1000, 900), (2000, 2500, 2900), (5000, 5600, 5600)]), Some(0));
    }

    #[test]
    fn those_in_between_are_no_drift() {
        // The probe has counted five that the runtime has not, and the other way round.
        assert_eq!(drift(&[(0, 1000, 0), (0, 1000, 0), (25, 1020, 25), (30, 1032, 30)]), Some(0));
        assert_eq!(drift(&[(25, 1020, 25), (30, 1030, 30), (30, 1030, 30)]), Some(0));
    }

    #[test]
    fn one_hit_that_was_lost_is_found_once_it_is_quiet() {
        let (start, lost, twice) = ((0, 1000, 0), (10, 1011, 10), (12, 1010, 12));
        assert_eq!(drift(&[start, start, lost]), Some(0));
        assert_eq!(drift(&[start, start, lost, lost]), Some(-1));
        assert_eq!(drift(&[start, start, twice, twice]), Some(2));
        assert_eq!(drift(&[start, start, twice, twice, (12, 1012, 12)]), Some(0));
    }

    #[test]
    fn many_are_found_in_a_busy_process_too_but_not_at_once() {
        let mut comparisons = vec![(0, 1000, 0), (0, 1000, 0)];
        comparisons.extend((1..5).map(|i| (100 * i, 1100 + 100 * i, 100 * i)));
        assert_eq!(drift(&comparisons), Some(0));
        comparisons.push((500, 1600, 500));
        assert_eq!(drift(&comparisons), Some(-90));
    }
}
