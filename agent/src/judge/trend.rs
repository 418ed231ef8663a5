//! Whether a series of numbers grows, and how fast: robustly, so that one odd number decides
//! nothing.

/// How sure it is that the numbers grow (above zero) or fall: the statistic of Mann and Kendall,
/// in standard deviations of what chance would make of it. 0 for fewer than three numbers.
pub(super) fn certainty(values: &[u64]) -> f64 {
    let n = values.len() as f64;
    if n < 3.0 {
        return 0.0;
    }
    let mut sum = 0.0;
    for (index, earlier) in values.iter().enumerate() {
        for later in values.iter().skip(index + 1) {
            sum += match later.cmp(earlier) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Less => -1.0,
            };
        }
    }
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    sum / deviation
}

/// Growth per second: the median of the slopes between all pairs of points (Theil and Sen). `None`
/// for fewer than two points, or points of one moment.
pub(super) fn slope(points: &[(f64, u64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, (at, value)) in points.iter().enumerate() {
        for (later_at, later) in points.iter().skip(index + 1) {
            let seconds = later_at - at;
            if seconds > 0.0 {
                slopes.push((*later as f64 - *value as f64) / seconds);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

/// The largest fall from a number to a later one.
pub(super) fn drawdown(values: &[u64]) -> u64 {
    let mut highest = 0;
    let mut largest = 0;
    for value in values {
        highest = highest.max(*value);
        largest = largest.max(highest - value);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_grows_with_the_number_of_points() {
        let rising: Vec<u64> = (0..20).collect();
        assert!(certainty(&rising[..4]) < 3.0);
        assert!(certainty(&rising[..8]) > 3.0);
        assert_eq!(certainty(&rising[..2]), 0.0);
        assert_eq!(certainty(&[7; 20]), 0.0);
        let falling: Vec<u64> = rising.iter().rev().copied().collect();
        assert!(certainty(&falling) < -3.0);
        let waves: Vec<u64> = (0..20_u64).map(|i| 10 + i % 5).collect();
        assert!(certainty(&waves).abs() < 2.0);
    }

    #[test]
    fn one_odd_point_does_not_tilt_the_slope() {
        let mut points: Vec<(f64, u64)> =
            (0..11_u32).map(|i| (f64::from(i), 3 * u64::from(i))).collect();
        points[5].1 = 100_000;
        assert_eq!(slope(&points), Some(3.0));
        assert_eq!(slope(&points[..1]), None);
        assert_eq!(slope(&[(1.0, 1), (1.0, 2)]), None);
    }

    #[test]
    fn the_largest_fall() {
        assert_eq!(drawdown(&[1, 5, 3, 9, 8]), 2);
        assert_eq!(drawdown(&[]), 0);
    }
}
