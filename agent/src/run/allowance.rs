//! Time that may be used: it grows as a share of the time that passes.

use std::time::{Duration, Instant};

/// CPU time that may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Of one core.
    share: f64,
    /// What was earned for so long and not used is kept; more is forfeited.
    saved: Duration,
    /// CPU seconds that are left; below zero where more was used.
    left: f64,
    since: Instant,
}

impl Allowance {
    /// One that has saved all it can.
    pub(super) fn new(share: f64, saved: Duration, now: Instant) -> Self {
        Self { share, saved, left: share * saved.as_secs_f64(), since: now }
    }

    /// CPU seconds that are left; below zero where more was used.
    pub(super) fn left(&mut self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        self.left = (self.left + elapsed * self.share).min(self.most());
        self.left
    }

    /// Is there any left?
    pub(super) fn has_any(&mut self, now: Instant) -> bool {
        self.left(now) > 0.0
    }

    /// Deducts what was used, of which there may be more than was left.
    pub(super) fn use_up(&mut self, cpu_seconds: f64) {
        self.left -= cpu_seconds;
    }

    /// It grows by another share from now on.
    pub(super) fn reshare(&mut self, share: f64, now: Instant) {
        self.left(now);
        self.share = share;
        self.left = self.left.min(self.most());
    }

    /// CPU seconds that can be left at most.
    pub(super) fn most(&self) -> f64 {
        self.share * self.saved.as_secs_f64()
    }

    /// Share of one core.
    pub(super) fn share(&self) -> f64 {
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: Duration = Duration::from_secs(10);

    #[test]
    fn the_share_is_kept_whatever_is_used_at_once() {
        let start = Instant::now();
        let mut allowance = Allowance::new(0.01, SAVED, start);
        let mut used = 0.0;
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            while allowance.has_any(now) {
                allowance.use_up(0.3);
                used += 0.3;
            }
        }
        assert!((9.5..=10.5).contains(&used), "{used} s of 1000 s");
    }

    #[test]
    fn no_more_is_saved_than_that() {
        let start = Instant::now();
        let mut allowance = Allowance::new(0.01, SAVED, start);
        assert_eq!(allowance.left(start + Duration::from_secs(5000)), 0.1);
    }

    #[test]
    fn another_share() {
        let start = Instant::now();
        let mut allowance = Allowance::new(0.01, SAVED, start);
        allowance.reshare(0.001, start);
        assert_eq!(allowance.left(start), 0.01);
        allowance.reshare(0.1, start);
        assert_eq!(allowance.left(start), 0.01);
        assert_eq!(allowance.left(start + Duration::from_secs(1)), 0.11);
    }

    #[test]
    fn without_a_share_there_is_none() {
        let now = Instant::now();
        assert!(!Allowance::new(0.0, SAVED, now).has_any(now + Duration::from_secs(1000)));
    }
}
