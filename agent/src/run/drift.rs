//! Whether the probes count what the runtime counts.
//!
//! Both count births since different moments, so that they differ by a number that never changes
//! while the probes are attached. A process that is busy creates goroutines between the reading of
//! the one and of the other: a comparison gives a range in which that number lies. Ranges of
//! several comparisons must have a number in common; where they have none, one of the two has lost
//! something, and at least as much as lies between them.

use crate::model::probed::{Births, Drift};

/// A goroutine is counted by the one a moment before the other. Only what is seen so often in a
/// row is no such moment.
const LASTING: u32 = 3;

/// Compares the counts of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DriftMeter {
    created: Offset,
    exited: Offset,
}

impl DriftMeter {
    /// Takes a comparison: what the probes had counted before and after the runtime's counts were
    /// read.
    pub(super) fn compare(&mut self, before: Births, runtime: Births, after: Births) {
        self.created.compare(before.created, runtime.created, after.created);
        self.exited.compare(before.exited, runtime.exited, after.exited);
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
    /// Comparisons in a row that contradict the range.
    contradictions: u32,
    drift: i64,
}

impl Offset {
    fn compare(&mut self, before: u64, runtime: u64, after: u64) {
        let runtime = i128::from(runtime);
        let (least, most) = (runtime - i128::from(after), runtime - i128::from(before));
        let (known_least, known_most) = self.range.unwrap_or((least, most));
        let common = (known_least.max(least), known_most.min(most));
        if common.0 <= common.1 {
            *self = Self { range: Some(common), ..Self::default() };
            return;
        }
        self.contradictions = self.contradictions.saturating_add(1);
        if self.contradictions >= LASTING {
            let gap = if least > known_most { known_most - least } else { known_least - most };
            self.drift = i64::try_from(gap).unwrap_or(i64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn births(created: u64) -> Births {
        Births { created, exited: 0 }
    }

    fn drift(comparisons: &[(u64, u64, u64)]) -> Option<i64> {
        let mut meter = DriftMeter::default();
        for &(before, runtime, after) in comparisons {
            meter.compare(births(before), births(runtime), births(after));
        }
        meter.drift().map(|drift| drift.created)
    }

    #[test]
    fn nothing_is_said_before_the_first_comparison() {
        assert_eq!(drift(&[]), None);
    }

    #[test]
    fn older_goroutines_are_no_drift() {
        assert_eq!(drift(&[(0, 1000, 0), (5, 1005, 5), (90, 1090, 90)]), Some(0));
    }

    #[test]
    fn what_happens_during_a_comparison_is_no_drift() {
        assert_eq!(drift(&[(0, 1000, 900), (2000, 2500, 2900), (5000, 5600, 5600)]), Some(0));
    }

    #[test]
    fn a_hit_that_was_lost_is_found_once_it_is_quiet() {
        let lost = (10, 1011, 10);
        assert_eq!(drift(&[(0, 1000, 0), lost, lost]), Some(0));
        assert_eq!(drift(&[(0, 1000, 0), lost, lost, lost]), Some(-1));
        let twice = (12, 1010, 12);
        assert_eq!(drift(&[(0, 1000, 0), twice, twice, twice]), Some(2));
    }

    #[test]
    fn a_moment_is_no_drift() {
        let moment = (10, 1009, 10);
        assert_eq!(drift(&[(0, 1000, 0), moment, (10, 1010, 10), moment, moment]), Some(0));
    }

    #[test]
    fn it_is_gone_when_both_agree_again() {
        let twice = (12, 1010, 12);
        assert_eq!(drift(&[(0, 1000, 0), twice, twice, twice, (12, 1012, 12)]), Some(0));
    }
}
