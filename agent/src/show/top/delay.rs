//! The delays of one interval, out of two histograms that only grow.

use goroscope_ebpf_probes::buckets::upper_bound_exponent;
use serde::Serialize;

use crate::model::{delay::DelayHistogram, runtime::TimeHistogram};

/// Delays of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Half of them were no longer, in seconds.
    pub p50_seconds: f64,
    /// Ninety-nine of a hundred were no longer, in seconds.
    pub p99_seconds: f64,
}

impl Spread {
    /// Of the threads: how long they waited for a CPU. `None` where they never did.
    #[must_use]
    pub fn of_threads(before: &DelayHistogram, now: &DelayHistogram) -> Option<Self> {
        let bound = |index| {
            let quarters = upper_bound_exponent(index)?;
            Some((f64::from(quarters) / 4.0).exp2())
        };
        Self::of(&differences(&before.buckets, &now.buckets), bound)
    }

    /// Of goroutines: how long those that could run waited until they did. The runtime notes one in
    /// eight times.
    #[must_use]
    pub fn of_goroutines(before: &TimeHistogram, now: &TimeHistogram) -> Option<Self> {
        if before.bounds != now.bounds {
            return None;
        }
        let bound = |index: usize| now.bounds.get(index).map(|bound| *bound as f64 / 1e9);
        Self::of(&differences(&before.counts, &now.counts), bound)
    }

    /// `bound` gives the upper bound of a bucket; the last one has none.
    fn of(counts: &[u64], bound: impl Fn(usize) -> Option<f64>) -> Option<Self> {
        let count = counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if count == 0 {
            return None;
        }
        let quantile = |share: f64| {
            let rank = share * count as f64;
            let mut seen = 0.0;
            let mut lower = 0.0;
            for (index, &held) in counts.iter().enumerate() {
                // Of what is beyond the last bound only that is known.
                let upper = bound(index).unwrap_or(lower);
                let held = held as f64;
                if held > 0.0 && seen + held >= rank {
                    return lower + (upper - lower) * ((rank - seen) / held).clamp(0.0, 1.0);
                }
                seen += held;
                lower = upper;
            }
            lower
        };
        Some(Self { count, p50_seconds: quantile(0.5), p99_seconds: quantile(0.99) })
    }
}

fn differences(before: &[u64], now: &[u64]) -> Vec<u64> {
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect()
}

#[cfg(test)]
mod tests {
    use goroscope_ebpf_probes::buckets::bucket;

    use super::*;

    fn threads(delays: &[(u64, u64)]) -> DelayHistogram {
        let mut histogram = DelayHistogram::default();
        for (nanoseconds, count) in delays {
            histogram.buckets[bucket(*nanoseconds)] += count;
        }
        histogram
    }

    #[test]
    fn only_the_interval_counts() {
        let before = threads(&[(1_000_000_000, 1000)]);
        let mut now = before.clone();
        for (from, to) in
            now.buckets.iter_mut().zip(threads(&[(20_000, 98), (8_000_000, 2)]).buckets)
        {
            *from += to;
        }
        let spread = Spread::of_threads(&before, &now).unwrap();
        assert_eq!(spread.count, 100);
        assert!((10e-6..30e-6).contains(&spread.p50_seconds), "{spread:?}");
        assert!((6e-3..10e-3).contains(&spread.p99_seconds), "{spread:?}");
        assert_eq!(Spread::of_threads(&now, &now), None);
        // A counter that fell is that of another process.
        assert_eq!(Spread::of_threads(&now, &before), None);
    }

    #[test]
    fn of_the_runtime() {
        let of =
            |counts: &[u64]| TimeHistogram { counts: counts.to_vec(), bounds: vec![0, 64, 128] };
        let spread = Spread::of_goroutines(&of(&[0, 0, 0, 0]), &of(&[0, 10, 0, 0])).unwrap();
        assert_eq!((spread.count, spread.p50_seconds), (10, 32e-9));
        let beyond = Spread::of_goroutines(&of(&[0, 0, 0, 0]), &of(&[0, 0, 0, 1])).unwrap();
        assert_eq!((beyond.p50_seconds, beyond.p99_seconds), (128e-9, 128e-9));
        let negative = Spread::of_goroutines(&of(&[0, 0, 0, 0]), &of(&[5, 0, 0, 0])).unwrap();
        assert_eq!(negative.p99_seconds, 0.0);
        let other = TimeHistogram { counts: vec![1, 2], bounds: vec![0] };
        assert_eq!(Spread::of_goroutines(&other, &of(&[9, 9, 9, 9])), None);
    }
}
