//! Does the number of a site's settled goroutines keep growing?
//!
//! For looks a few milliseconds apart in processes that live some seconds; the judge's own rule of
//! that name is for hours.

use std::time::Duration;

/// Changes that are remembered; beyond, every second one is forgotten.
const MAX_CHANGES: usize = 1024;
/// Fewer goroutines more tell nothing.
const LEAST_NET: u64 = 5;
/// At so many looks there were more than before.
const LEAST_RISES: usize = 4;
/// How much of the growth may be lost in between, as one part of so many.
const LARGEST_FALL: u64 = 10;
/// In the second half it grew at least by this part of what it grew in the first: what fills up,
/// as a pool does, slows down.
const STEADY: f64 = 0.5;

/// How the number went.
#[derive(Clone, Debug, Default)]
pub(super) struct Growth {
    /// When it changed, and to what; the oldest first.
    changes: Vec<(Duration, u64)>,
    began: Option<Duration>,
    last: Duration,
    highest: u64,
    largest_fall: u64,
}

impl Growth {
    /// There were so many at `at`.
    pub(super) fn add(&mut self, at: Duration, count: u64) {
        self.began.get_or_insert(at);
        self.last = at;
        self.highest = self.highest.max(count);
        self.largest_fall = self.largest_fall.max(self.highest - count);
        if self.changes.last().is_some_and(|(_, last)| *last == count) {
            return;
        }
        if self.changes.len() >= MAX_CHANGES {
            let mut index = 0_usize;
            self.changes.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.changes.push((at, count));
    }

    /// How many more there are, and in which time; `None` where that is not how a leak grows.
    pub(super) fn unbroken(&self, settle: Duration) -> Option<(u64, Duration)> {
        let rises: Vec<(Duration, u64)> = self
            .changes
            .windows(2)
            .filter_map(|pair| {
                let [before, after] = pair else { return None };
                (after.1 > before.1).then_some(*after)
            })
            .collect();
        let (first, last) = (rises.first()?, rises.last()?);
        // Those that were there at the first look settle all at once.
        let net = self.changes.last()?.1.saturating_sub(first.1);
        let middle = first.0 + last.0.saturating_sub(first.0) / 2;
        let half = rises.iter().rev().find(|(at, _)| *at <= middle)?.1;
        let (before, after) = (half.saturating_sub(first.1), last.1.saturating_sub(half));
        let took = last.0.saturating_sub(first.0);
        let lately = self.last.saturating_sub(self.began?) / 2 + self.began? <= last.0;
        let leaks = net >= LEAST_NET
            && rises.len() >= LEAST_RISES
            && self.largest_fall <= net / LARGEST_FALL
            && took >= settle
            && lately
            && after as f64 >= before as f64 * STEADY;
        leaks.then_some((net, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(values: &[u64]) -> Option<u64> {
        let mut growth = Growth::default();
        for (tick, count) in (0..).step_by(200).zip(values) {
            growth.add(Duration::from_millis(tick), *count);
        }
        growth.unbroken(Duration::from_millis(500)).map(|(net, _)| net)
    }

    #[test]
    fn only_steady_growth_looks_like_a_leak() {
        assert_eq!(growth(&[0, 0, 2, 4, 6, 8, 10]), Some(8));
        assert_eq!(growth(&[3, 4, 5, 6, 7, 8, 9, 10]), Some(6));
        assert_eq!(growth(&[0, 40, 42, 44, 46, 48, 50]), Some(10));
        assert_eq!(growth(&[0, 0, 64, 64, 64, 64, 64]), None);
        assert_eq!(growth(&[0, 1, 2, 3, 4, 4, 4]), None);
        assert_eq!(growth(&[0, 20, 30, 35, 37, 38, 38, 39]), None);
        assert_eq!(growth(&[0, 2, 4, 6, 8, 2, 10, 12]), None);
        assert_eq!(growth(&[0, 2, 4, 6, 8, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]), None);
        assert_eq!(growth(&[]), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut growth = Growth::default();
        for tick in 0..100_000 {
            growth.add(Duration::from_millis(tick), tick);
        }
        assert!(growth.changes.len() <= MAX_CHANGES);
        assert!(growth.unbroken(Duration::from_millis(500)).is_some());
    }
}
