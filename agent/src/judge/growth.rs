//! Does the number of settled goroutines grow, surely and all the time?

use super::{
    Says,
    history::{Pace, Rise},
    trend,
};

/// Standard deviations from what chance makes.
const SURE: f64 = 2.5;
/// How much of the growth may be lost in between, as one part of so many.
const LARGEST_FALL: u64 = 10;
/// What the last intervals between points must have of the growth that was usual, where it goes on.
const GOES_ON: f64 = 0.4;
/// The second half of the growth is at least this part of the first where it goes on as it began.
pub(super) const STEADY: f64 = 0.75;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    pub(super) says: Says,
    pub(super) net: u64,
    pub(super) per_second: f64,
    /// Growth in the second half, as a part of that in the first.
    pub(super) steadiness: f64,
}

/// Judges a rise; less than `least_points` points tell nothing.
pub(super) fn judge(pace: &Pace, rise: &Rise, least_points: usize) -> Growth {
    let values = rise.values();
    let net = rise.net();
    let per_second = trend::slope(&rise.series()).unwrap_or(0.0);
    let says = if values.len() < least_points {
        Says::Unknown
    } else if recent(&values, pace.recent) < GOES_ON
        || trend::certainty(&values) < SURE
        || trend::drawdown(&values) > net / LARGEST_FALL
    {
        Says::Fine
    } else if net < pace.least_net {
        Says::Unknown
    } else {
        Says::Leak
    };
    Growth { says, net, per_second, steadiness: steadiness(&values) }
}

/// Growth in the last intervals, as a part of what it is on average.
fn recent(values: &[u64], count: usize) -> f64 {
    let intervals = values.len().saturating_sub(1);
    let before = intervals.checked_sub(count).and_then(|index| values.get(index));
    let (Some(first), Some(before), Some(last)) = (values.first(), before, values.last()) else {
        return 0.0;
    };
    let usual = last.saturating_sub(*first) as f64 / intervals as f64;
    if usual > 0.0 { last.saturating_sub(*before) as f64 / count as f64 / usual } else { 0.0 }
}

fn steadiness(values: &[u64]) -> f64 {
    let middle = values.len() / 2;
    let (Some(first), Some(half), Some(last)) = (values.first(), values.get(middle), values.last())
    else {
        return 0.0;
    };
    let before = half.saturating_sub(*first) as f64 / middle.max(1) as f64;
    let after = last.saturating_sub(*half) as f64 / (values.len() - 1 - middle).max(1) as f64;
    if before > 0.0 { after / before } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::history::{PACES, Point},
        *,
    };

    fn says(values: &[u64]) -> Says {
        let points = (0..).step_by(5).zip(values);
        let point = |(second, old): (u64, &u64)| Point {
            at: Duration::from_secs(second),
            old: *old,
            ..Point::default()
        };
        judge(&PACES[0], &Rise(points.map(point).collect()), 6).says
    }

    #[test]
    fn only_sure_and_unbroken_growth_looks_like_a_leak() {
        assert_eq!(says(&[0, 25, 50, 75, 100, 125]), Says::Leak);
        assert_eq!(says(&[0, 25, 50, 75]), Says::Unknown);
        assert_eq!(says(&[0, 1, 2, 3, 4, 5]), Says::Unknown);
        assert_eq!(says(&[900, 800, 600, 300, 200, 100]), Says::Fine);
        assert_eq!(says(&[0, 25, 50, 20, 60, 90]), Says::Fine);
        assert_eq!(says(&[50, 50, 50, 50, 50, 50]), Says::Fine);
        // It has reached its size.
        assert_eq!(says(&[0, 100, 200, 300, 400, 400, 400, 400]), Says::Fine);
    }

    #[test]
    fn growth_that_fades_is_not_steady() {
        assert!(steadiness(&[0, 10, 20, 30, 40]) >= STEADY);
        assert!(steadiness(&[0, 60, 90, 100, 105]) < STEADY);
        assert_eq!(steadiness(&[]), 0.0);
    }
}
