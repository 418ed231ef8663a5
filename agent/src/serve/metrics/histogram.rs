//! A distribution as Prometheus wants it: classic and native at once.

use std::ops::RangeInclusive;

use goroscope_ebpf_probes::buckets::{MIN_EXPONENT, SCHEMA, upper_bound_exponent};

use crate::model::{delay::DelayHistogram, runtime::TimeHistogram};

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// Sum of the observations.
    pub sum: f64,
    /// Their number.
    pub count: u64,
    /// Classic buckets: inclusive upper bound, observations above the bound before it (not
    /// cumulative). Bounds grow, the last is infinite.
    pub classic: Vec<(f64, u64)>,
    /// Native buckets, where the observations were counted in such.
    pub native: Option<Native>,
}

/// The sparse buckets of a native histogram, as
/// <https://prometheus.io/docs/specs/native_histograms/> defines them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Native {
    /// Bucket `i` holds values in (2^((i-1)/2^schema), 2^(i/2^schema)].
    pub schema: i32,
    /// Values up to this one are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Runs of buckets: gap to the run before (the first: its index), length.
    pub spans: Vec<(i32, u32)>,
    /// What each bucket of the runs has more than the one before.
    pub deltas: Vec<i64>,
}

/// Octaves from one classic bound to the next. The native buckets are the fine ones; a classic
/// bound is a series for each process.
const CLASSIC_OCTAVES: usize = 2;

impl From<&DelayHistogram> for Histogram {
    fn from(delay: &DelayHistogram) -> Self {
        let mut native = Native {
            schema: SCHEMA.cast_signed(),
            zero_threshold: 2_f64.powi(MIN_EXPONENT),
            zero_count: 0,
            spans: Vec::new(),
            deltas: Vec::new(),
        };
        let mut runs = Runs::default();
        for (bucket, &count) in delay.buckets.iter().enumerate() {
            match native_index(bucket) {
                Some(index) => runs.push(&mut native, index, count),
                None => native.zero_count += count,
            }
        }
        Self {
            sum: delay.sum_nanoseconds as f64 / 1e9,
            count: delay.count(),
            classic: classic(delay),
            native: Some(native),
        }
    }
}

/// Exponents of the classic bounds of durations that the Go runtime counted: 2^k ns, from 1 µs to
/// 17 s. Powers of two are bounds of its own buckets, so that nothing is estimated.
const RUNTIME_EXPONENTS: RangeInclusive<u32> = 10..=34;

impl Histogram {
    /// Durations that the Go runtime counted. Their sum is `sum_nanoseconds`, where the runtime
    /// keeps it; else it is estimated, each at the middle of its bucket.
    ///
    /// The runtime's buckets are parts of an octave of equal width, and octaves of nanoseconds, so
    /// that they cannot be told as native ones.
    pub(super) fn of_runtime(durations: &TimeHistogram, sum_nanoseconds: Option<u64>) -> Self {
        let mut classic = Vec::new();
        let mut rest = durations.counts.as_slice();
        let mut below = 0;
        for bound in RUNTIME_EXPONENTS.map(|exponent| 1_u64 << exponent) {
            // Bucket i holds what is less than bound i.
            let end = durations.bounds.partition_point(|known| *known <= bound);
            let (part, behind) = rest.split_at_checked(end - below).unwrap_or((rest, &[]));
            classic.push((bound as f64 / 1e9, part.iter().sum()));
            (rest, below) = (behind, end);
        }
        classic.push((f64::INFINITY, rest.iter().sum()));
        let sum = sum_nanoseconds.map_or_else(|| estimated_sum(durations), |sum| sum as f64);
        Self { sum: sum / 1e9, count: durations.count(), classic, native: None }
    }
}

/// In nanoseconds. Of the last bucket only the lower bound is known.
fn estimated_sum(durations: &TimeHistogram) -> f64 {
    let lower = [0].iter().chain(&durations.bounds);
    let upper = durations.bounds.iter().chain(durations.bounds.last());
    let middles = lower.zip(upper).map(|(lower, upper)| (*lower as f64 + *upper as f64) / 2.0);
    middles.zip(&durations.counts).map(|(middle, count)| middle * *count as f64).sum()
}

/// Which native bucket our bucket is; `None` for the first, which is the zero bucket.
///
/// Bounds are the same, so the index is the exponent of the upper bound in quarters. Our last
/// bucket has no upper bound and becomes the native bucket that follows.
fn native_index(bucket: usize) -> Option<i32> {
    let below = upper_bound_exponent(bucket.checked_sub(1)?)?;
    Some(below + 1)
}

/// Where in the sparse buckets the last observation was.
#[derive(Default)]
struct Runs {
    /// Index after the last bucket.
    next: Option<i32>,
    /// Observations in the last bucket.
    last: i64,
}

impl Runs {
    /// Adds a bucket; indices grow by one from call to call. Empty ones are left out.
    fn push(&mut self, native: &mut Native, index: i32, count: u64) {
        if count == 0 {
            return;
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match native.spans.last_mut() {
            Some((_, length)) if self.next == Some(index) => *length += 1,
            _ => native.spans.push((index - self.next.unwrap_or(0), 1)),
        }
        native.deltas.push(count - self.last);
        self.last = count;
        self.next = Some(index + 1);
    }
}

fn classic(delay: &DelayHistogram) -> Vec<(f64, u64)> {
    let mut classic = Vec::new();
    let mut count = 0;
    for (bucket, &observations) in delay.buckets.iter().enumerate() {
        count += observations;
        let octaves = bucket >> SCHEMA;
        let whole = octaves << SCHEMA == bucket && octaves.is_multiple_of(CLASSIC_OCTAVES);
        if let Some(quarters) = upper_bound_exponent(bucket)
            && whole
        {
            classic.push((2_f64.powi(quarters >> SCHEMA), count));
            count = 0;
        }
    }
    classic.push((f64::INFINITY, count));
    classic
}

#[cfg(test)]
mod tests {
    use goroscope_ebpf_probes::buckets::{BUCKETS, bucket};

    use super::*;

    /// Undoes spans and deltas: (index, count) of each bucket they name.
    fn decode(native: &Native) -> Vec<(i32, i64)> {
        let (mut index, mut count) = (0, 0);
        let mut deltas = native.deltas.iter();
        let mut decoded = Vec::new();
        for &(gap, length) in &native.spans {
            index += gap;
            for _ in 0..length {
                count += deltas.next().expect("a delta for each bucket");
                decoded.push((index, count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        decoded
    }

    fn delays(nanoseconds: &[u64]) -> DelayHistogram {
        let mut delay = DelayHistogram::default();
        for &each in nanoseconds {
            delay.buckets[bucket(each)] += 1;
            delay.sum_nanoseconds += each;
        }
        delay
    }

    #[test]
    fn every_bucket_comes_back_with_its_bounds() {
        for full in 0..BUCKETS {
            let mut delay = DelayHistogram::default();
            delay.buckets[full] = 3;
            let native = Histogram::from(&delay).native.unwrap();
            if full == 0 {
                assert_eq!((native.zero_count, decode(&native)), (3, vec![]));
                continue;
            }
            let [(index, 3)] = decode(&native)[..] else { panic!("{native:?}") };
            let upper = |index: i32| (f64::from(index) / 4.0).exp2();
            let ours = |bucket| upper_bound_exponent(bucket).map(upper);
            assert_eq!(Some(upper(index - 1)), ours(full - 1));
            if full + 1 < BUCKETS {
                assert_eq!(Some(upper(index)), ours(full));
            }
        }
    }

    #[test]
    fn counts_come_back_exactly() {
        let mut delay = DelayHistogram::default();
        for (i, count) in delay.buckets.iter_mut().enumerate() {
            *count = if i % 5 < 3 { (i as u64 * 7919) % 101 } else { 0 };
        }
        let native = Histogram::from(&delay).native.unwrap();
        let mut again = [0; BUCKETS];
        again[0] = native.zero_count;
        for (index, count) in decode(&native) {
            again[usize::try_from(index + 80).unwrap()] = u64::try_from(count).unwrap();
        }
        assert_eq!(again, delay.buckets);
        assert!(native.spans.len() > 10, "gaps are not filled");
    }

    #[test]
    fn one_second_is_native_bucket_zero() {
        let native = Histogram::from(&delays(&[999_000_000])).native.unwrap();
        assert_eq!(native.spans, [(0, 1)]);
        assert_eq!(native.deltas, [1]);
        assert_eq!(native.schema, 2);
    }

    #[test]
    fn nothing_observed() {
        let histogram = Histogram::from(&DelayHistogram::default());
        assert_eq!((histogram.count, histogram.sum), (0, 0.0));
        let native = histogram.native.unwrap();
        assert!(native.spans.is_empty() && native.deltas.is_empty());
        // Tells it from a classic histogram.
        assert!(native.zero_threshold > 0.0);
    }

    #[test]
    fn classic_bounds_are_every_second_octave_and_lose_nothing() {
        let mut delay = DelayHistogram { buckets: [1; BUCKETS], sum_nanoseconds: 5 };
        let classic = Histogram::from(&delay).classic;
        let bounds: Vec<f64> = classic.iter().map(|&(bound, _)| bound).collect();
        let expected: Vec<f64> =
            (-20..=4).step_by(2).map(|e| 2_f64.powi(e)).chain([f64::INFINITY]).collect();
        assert_eq!(bounds, expected);
        let counts: Vec<u64> = classic.iter().map(|&(_, count)| count).collect();
        assert_eq!(counts, [1, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 1]);
        delay.buckets = [0; BUCKETS];
        assert!(Histogram::from(&delay).classic.iter().all(|&(_, count)| count == 0));
    }

    #[test]
    fn delays_lie_at_or_below_their_classic_bound() {
        let histogram = Histogram::from(&delays(&[500, 3_800, 4_000, 999_000_000, 20_000_000_000]));
        let mut cumulative = 0;
        for (bound, count) in histogram.classic {
            cumulative += count;
            let expected = match bound {
                b if b < 3.8e-6 => 1,
                b if b < 4.0e-6 => 2,
                b if b < 1.0 => 3,
                b if b < 20.0 => 4,
                _ => 5,
            };
            assert_eq!(cumulative, expected, "up to {bound}");
        }
        assert!((histogram.sum - 20.999_008_3).abs() < 1e-9);
    }

    #[test]
    fn durations_of_the_runtime_keep_their_buckets() {
        // Bounds as the runtime has them from 1.21 on: 256, 320, 384, 448, 512, 640 …
        let octaves =
            (8..40_u32).flat_map(|octave| (4..8_u64).map(move |part| part << (octave - 2)));
        let bounds: Vec<u64> = [0].into_iter().chain(octaves).collect();
        let durations = TimeHistogram { counts: vec![1; bounds.len() + 1], bounds };
        let histogram = Histogram::of_runtime(&durations, Some(5_000_000_000));
        assert_eq!((histogram.count, histogram.sum, histogram.native), (130, 5.0, None));
        let counts: Vec<u64> = histogram.classic.iter().map(|&(_, count)| count).collect();
        // Below 1024 ns: what is negative, what is below 256 ns, and two octaves.
        assert_eq!(counts[..3], [10, 4, 4]);
        assert_eq!(counts.iter().sum::<u64>(), 130);
        assert_eq!(histogram.classic[0].0, 1.024e-6);
        assert_eq!(histogram.classic.last().map(|last| last.0), Some(f64::INFINITY));
    }

    #[test]
    fn an_estimated_sum_is_off_by_an_eighth_at_most() {
        let durations = TimeHistogram { counts: vec![0, 0, 10, 0], bounds: vec![0, 1024, 1280] };
        let sum = Histogram::of_runtime(&durations, None).sum;
        for real in [1024.0, 1279.0] {
            assert!((sum * 1e9 / 10.0 - real).abs() <= real / 8.0, "{sum}");
        }
    }
}
