//! What was seen of a creation site, at three paces.

use std::{collections::VecDeque, time::Duration};

/// Points that are kept at each pace.
const MAX_POINTS: usize = 24;

/// So many equal points in a row are rest.
const AT_REST: usize = 4;

/// How often points are taken, and which goroutines are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Points are at least so far apart.
    pub(super) every: Duration,
    /// Goroutines younger than this are not counted: they may still be at work.
    pub(super) settled: Duration,
    /// The last points that are judged together.
    pub(super) points: usize,
    /// Fewer goroutines more tell nothing.
    pub(super) least_net: u64,
    /// The last intervals that must have some growth, where it goes on.
    pub(super) recent: usize,
    /// Of those that settled, this part may end where they leak. At the fast pace it is next to
    /// none: what lives for minutes has not had the time to end.
    pub(super) few: f64,
}

/// Fast leaks, slow ones, and very slow ones.
pub(super) const PACES: [Pace; 3] = [
    Pace {
        every: Duration::from_secs(5),
        settled: Duration::from_secs(5),
        points: 10,
        least_net: 15,
        recent: 1,
        few: 0.02,
    },
    Pace {
        every: Duration::from_secs(30),
        settled: Duration::from_secs(60),
        points: 16,
        least_net: 5,
        recent: 3,
        few: 0.1,
    },
    Pace {
        every: Duration::from_secs(300),
        settled: Duration::from_secs(600),
        points: 24,
        least_net: 5,
        recent: 3,
        few: 0.1,
    },
];

/// A site at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Duration,
    /// Goroutines that were settled.
    pub(super) old: u64,
    /// Those of them that had been settled at the point before.
    pub(super) survivors: u64,
    /// Goroutines in the sample that were there at the last look, and those of them that have not
    /// run since.
    pub(super) tracked: u64,
    pub(super) still: u64,
}

/// What was seen of a site at one pace, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History(VecDeque<Point>);

impl History {
    pub(super) fn add(&mut self, point: Point) {
        if self.0.len() == MAX_POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// How many more there are each second, from the first of the last points to the last. `None`
    /// where there are too few to tell.
    pub(super) fn growth(&self, most: usize) -> Option<f64> {
        let last = self.0.back()?;
        let first = self.0.iter().rev().take(most).next_back()?;
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let points = self.0.len().min(most);
        (points > 2 && seconds > 0.0).then(|| (last.old as f64 - first.old as f64) / seconds)
    }

    /// The last points, at most so many, from where the site was at rest before it began to grow:
    /// what a leak could have made.
    pub(super) fn rise(&self, most: usize) -> Rise {
        let mut points: Vec<Point> = Vec::with_capacity(most);
        let mut equal = 1;
        for point in self.0.iter().rev().take(most) {
            let same = points.last().is_some_and(|next| next.old == point.old);
            equal = if same { equal + 1 } else { 1 };
            // It rested: of that only the last point is of interest, from which it grew.
            if equal == AT_REST && points.first().is_some_and(|last| last.old != point.old) {
                points.truncate(points.len() - (AT_REST - 2));
                break;
            }
            points.push(*point);
        }
        points.reverse();
        Rise(points)
    }
}

/// Points of a history, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Rise(pub(super) Vec<Point>);

impl Rise {
    pub(super) fn values(&self) -> Vec<u64> {
        self.0.iter().map(|point| point.old).collect()
    }

    pub(super) fn series(&self) -> Vec<(f64, u64)> {
        self.0.iter().map(|point| (point.at.as_secs_f64(), point.old)).collect()
    }

    /// How many more there are at the end.
    pub(super) fn net(&self) -> u64 {
        let of = |point: Option<&Point>| point.map_or(0, |point| point.old);
        of(self.0.last()).saturating_sub(of(self.0.first()))
    }

    /// From the first point to the last.
    pub(super) fn duration(&self) -> Duration {
        let at = |point: Option<&Point>| point.map_or(Duration::ZERO, |point| point.at);
        at(self.0.last()).saturating_sub(at(self.0.first()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(values: &[u64]) -> History {
        let mut history = History::default();
        for (second, old) in (0..).step_by(5).zip(values) {
            history.add(Point { at: Duration::from_secs(second), old: *old, ..Point::default() });
        }
        history
    }

    #[test]
    fn a_rise_begins_where_it_was_at_rest() {
        let values = |values: &[u64]| history(values).rise(24).values();
        assert_eq!(values(&[3, 3, 3, 3, 3, 10, 20, 30]), [3, 10, 20, 30]);
        assert_eq!(values(&[5, 7, 9]), [5, 7, 9]);
        assert_eq!(values(&[1, 2, 2, 3, 3, 3, 4]), [1, 2, 2, 3, 3, 3, 4]);
        assert_eq!(values(&[9, 9, 9, 9, 9]), [9, 9, 9, 9, 9]);
        assert_eq!(history(&[1, 2, 3, 4]).rise(2).values(), [3, 4]);
        assert_eq!(history(&[]).rise(24).net(), 0);
        assert_eq!(history(&[5, 7, 9]).rise(24).net(), 4);
        assert_eq!(history(&[5, 7, 9]).rise(24).duration().as_secs(), 10);
    }

    #[test]
    fn growth_is_told_with_three_points_and_may_be_negative() {
        assert_eq!(history(&[1, 2]).growth(13), None);
        assert_eq!(history(&[1, 2, 11]).growth(13), Some(1.0));
        assert_eq!(history(&[0, 100, 50, 0]).growth(3), Some(-10.0));
    }

    #[test]
    fn it_is_bounded() {
        let values: Vec<u64> = (0..100).collect();
        assert_eq!(history(&values).0.len(), MAX_POINTS);
    }
}
