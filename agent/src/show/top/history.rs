//! What a figure was lately: a bounded number of points, for sparklines and for growth.

use std::collections::VecDeque;

/// Points that are kept of a figure.
pub const KEPT: usize = 60;

/// What a figure was lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// When, in seconds, and what.
    points: VecDeque<(f64, f64)>,
}

impl History {
    /// Adds a point; one that is not later than the last replaces it.
    pub fn push(&mut self, at: f64, value: f64) {
        if let Some((_, last)) = self.points.back_mut().filter(|(last, _)| at <= *last) {
            *last = value;
            return;
        }
        if self.points.len() >= KEPT {
            self.points.pop_front();
        }
        self.points.push_back((at, value));
    }

    /// The values, the oldest first.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.points.iter().map(|(_, value)| *value).collect()
    }

    /// By how much it grew a second, over the last `window` seconds or as long as it is known;
    /// `None` where there is one point only.
    #[must_use]
    pub fn growth(&self, window: f64) -> Option<f64> {
        let (now, value) = *self.points.back()?;
        // The last interval counts however long it is.
        let before = self.points.iter().rev().nth(1)?;
        let earlier = self.points.iter().find(|(at, _)| *at >= now - window);
        let (at, from) = *earlier.filter(|(at, _)| *at < before.0).unwrap_or(before);
        Some((value - from) / (now - at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded() {
        let mut history = History::default();
        for at in 0..1000_u32 {
            history.push(f64::from(at), f64::from(2 * at));
        }
        assert_eq!(history.values().len(), KEPT);
        assert_eq!(history.values().last(), Some(&1998.0));
        assert_eq!(history.growth(10.0), Some(2.0));
    }

    #[test]
    fn growth_is_that_of_the_window() {
        let mut history = History::default();
        assert_eq!(history.growth(10.0), None);
        history.push(100.0, 5.0);
        assert_eq!(history.growth(10.0), None);
        history.push(101.0, 8.0);
        assert_eq!(history.growth(10.0), Some(3.0));
        // What is older than the window does not count, but for the last interval.
        history.push(150.0, 57.0);
        assert_eq!(history.growth(10.0), Some(1.0));
        history.push(151.0, 57.0);
        assert_eq!(history.growth(10.0), Some(0.0));
    }

    #[test]
    fn a_clock_that_stands_still() {
        let mut history = History::default();
        history.push(1.0, 1.0);
        history.push(1.0, 2.0);
        history.push(0.5, 3.0);
        assert_eq!(history.values(), [3.0]);
        assert_eq!(history.growth(10.0), None);
    }
}
