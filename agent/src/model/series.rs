//! The last minutes of a process in few numbers: what a chart shows at once when it is opened.
//!
//! Bounded: [`POINTS`] points, and the delays of a few moments. Every number is taken at the same
//! moment as the others of its point.

use std::{collections::VecDeque, time::Duration};

use goroscope_ebpf_probes::buckets::{PER_OCTAVE, upper_bound_exponent};

use super::{delay::DelayHistogram, runtime::TimeHistogram};

/// Points are so far apart.
pub const EVERY: Duration = Duration::from_secs(5);
/// Points that are kept: a quarter of an hour.
pub const POINTS: usize = 180;
/// The delays of every so many points are kept, to tell those of the last minutes.
const DELAYS_EVERY: usize = 12;
/// Bounds of the runtime's delays that are told: powers of two from 1 µs to 17 s, in nanoseconds.
const SHORTEST: u64 = 1 << 10;
const LONGEST: u64 = 1 << 34;

/// The last minutes of a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    points: VecDeque<Point>,
    go: Delays,
    threads: Delays,
    taken: usize,
}

/// A process at one moment; what is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// In seconds since the Unix epoch.
    pub at: f64,
    /// Live goroutines of the program.
    pub goroutines: Option<u64>,
    /// Goroutines ever created.
    pub created: Option<u64>,
    /// Those that ended.
    pub exited: Option<u64>,
    /// OS threads of the runtime.
    pub threads: Option<u64>,
    /// Since the point before, 99 % of the goroutines that could run waited no longer, in seconds.
    pub go_delay_p99: Option<f64>,
    /// The same of the threads that waited for a CPU.
    pub thread_delay_p99: Option<f64>,
}

/// What is known at one moment. Of the point only what the delays do not give is needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample<'a> {
    /// Counts.
    pub point: Point,
    /// How long goroutines waited, since the process started.
    pub go: Option<&'a TimeHistogram>,
    /// How long threads waited, since the agent came.
    pub threads: Option<&'a DelayHistogram>,
}

/// A distribution of delays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Time that it is of, in seconds.
    pub over_seconds: f64,
    /// Upper bounds of the buckets but for the last, which has none, in seconds.
    pub bounds: Vec<f64>,
    /// Observations in each bucket.
    pub counts: Vec<u64>,
}

impl Series {
    /// Takes what is known now.
    pub fn take(&mut self, sample: Sample<'_>) {
        let Sample { mut point, go, threads } = sample;
        let keep = self.taken.is_multiple_of(DELAYS_EVERY);
        let go = go.map(Buckets::of_runtime);
        let threads = threads.map(Buckets::of_kernel);
        point.go_delay_p99 = self.go.take(point.at, go, keep);
        point.thread_delay_p99 = self.threads.take(point.at, threads, keep);
        self.taken = self.taken.wrapping_add(1);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// The points, the oldest first.
    #[must_use]
    pub fn points(&self) -> &VecDeque<Point> {
        &self.points
    }

    /// How long goroutines waited in the last minutes; `None` where that is not known (yet).
    #[must_use]
    pub fn go_delays(&self) -> Option<Distribution> {
        self.go.recent()
    }

    /// How long threads waited for a CPU, likewise.
    #[must_use]
    pub fn thread_delays(&self) -> Option<Distribution> {
        self.threads.recent()
    }
}

/// Counts that only grow, by bucket.
#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    /// In seconds; of all buckets but the last.
    bounds: Vec<f64>,
    counts: Vec<u64>,
    /// The bounds that are whole octaves.
    octaves: Vec<usize>,
}

impl Buckets {
    fn of_runtime(delays: &TimeHistogram) -> Self {
        let bounds = delays.bounds.iter();
        let octave = |(index, bound): (usize, &u64)| {
            (bound.is_power_of_two() && (SHORTEST..=LONGEST).contains(bound)).then_some(index)
        };
        Self {
            octaves: bounds.clone().enumerate().filter_map(octave).collect(),
            bounds: bounds.map(|bound| *bound as f64 / 1e9).collect(),
            counts: delays.counts.clone(),
        }
    }

    fn of_kernel(delays: &DelayHistogram) -> Self {
        let exponents = (0..delays.buckets.len()).map_while(upper_bound_exponent);
        let per_octave = usize::try_from(PER_OCTAVE).unwrap_or(1);
        let bounds: Vec<f64> = exponents
            .map(|quarters| (f64::from(quarters) / f64::from(PER_OCTAVE)).exp2())
            .collect();
        Self {
            octaves: (0..bounds.len()).step_by(per_octave).collect(),
            bounds,
            counts: delays.buckets.to_vec(),
        }
    }

    /// The counts with only the octaves told apart.
    fn folded(&self) -> Distribution {
        let mut distribution = Distribution::default();
        let mut rest = self.counts.as_slice();
        let mut begin = 0;
        for index in &self.octaves {
            let (below, behind) =
                rest.split_at_checked((index + 1).saturating_sub(begin)).unwrap_or((rest, &[]));
            distribution.bounds.extend(self.bounds.get(*index));
            distribution.counts.push(sum(below));
            (rest, begin) = (behind, index + 1);
        }
        distribution.counts.push(sum(rest));
        distribution
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

/// What each bucket has more; `None` where it is not the same histogram any more.
fn more(before: &[u64], after: &[u64]) -> Option<Vec<u64>> {
    if before.len() != after.len() {
        return None;
    }
    after.iter().zip(before).map(|(after, before)| after.checked_sub(*before)).collect()
}

/// Delays at some moments.
#[derive(Clone, Debug, Default, PartialEq)]
struct Delays {
    last: Vec<u64>,
    last_at: f64,
    /// The last counts, and those of moments in the last minutes; by octaves.
    now: Distribution,
    kept: VecDeque<(f64, Vec<u64>)>,
}

impl Delays {
    /// Gives the delay that 99 % of those since the last time were not above.
    fn take(&mut self, at: f64, buckets: Option<Buckets>, keep: bool) -> Option<f64> {
        let Some(buckets) = buckets else {
            *self = Self::default();
            return None;
        };
        let since = more(&self.last, &buckets.counts);
        self.now = buckets.folded();
        if since.is_none() {
            // The first, or another program's.
            self.kept.clear();
        }
        if keep || self.kept.is_empty() {
            if self.kept.len() > POINTS / DELAYS_EVERY {
                self.kept.pop_front();
            }
            self.kept.push_back((at, self.now.counts.clone()));
        }
        let p99 = quantile(&buckets.bounds, &since.unwrap_or_default(), 0.99);
        self.last = buckets.counts;
        self.last_at = at;
        p99
    }

    fn recent(&self) -> Option<Distribution> {
        let (from, before) = self.kept.front()?;
        Some(Distribution {
            over_seconds: self.last_at - from,
            bounds: self.now.bounds.clone(),
            counts: more(before, &self.now.counts)?,
        })
    }
}

/// The value that this part of the observations is not above, as Prometheus estimates it: evenly
/// spread within a bucket. `None` where there are no observations.
fn quantile(bounds: &[f64], counts: &[u64], part: f64) -> Option<f64> {
    let all = sum(counts);
    if all == 0 {
        return None;
    }
    let rank = part * all as f64;
    let mut below = 0_u64;
    let mut lower = 0.0;
    for (index, count) in counts.iter().enumerate() {
        let upper = bounds.get(index).copied();
        let with = below.saturating_add(*count);
        if *count > 0 && with as f64 >= rank {
            // Of the last bucket only the lower bound is known.
            let within = (rank - below as f64) / *count as f64;
            return Some(upper.map_or(lower, |upper| lower + (upper - lower) * within));
        }
        below = with;
        lower = upper.unwrap_or(lower);
    }
    Some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: f64, go: &TimeHistogram) -> Sample<'_> {
        Sample {
            point: Point { at, goroutines: Some(7), ..Point::default() },
            go: Some(go),
            threads: None,
        }
    }

    fn delays(counts: [u64; 4]) -> TimeHistogram {
        TimeHistogram { counts: counts.to_vec(), bounds: vec![0, 1 << 10, 1 << 20] }
    }

    #[test]
    fn a_quarter_of_an_hour_is_kept_and_no_more() {
        let mut series = Series::default();
        for second in 0..1000_u32 {
            let go = delays([0, u64::from(second), 0, 0]);
            series.take(sample(f64::from(second) * 5.0, &go));
        }
        assert_eq!(series.points().len(), POINTS);
        assert!(series.go.kept.len() <= POINTS / DELAYS_EVERY + 1);
        let recent = series.go_delays().unwrap();
        assert!((800.0..=1000.0).contains(&recent.over_seconds), "{recent:?}");
        assert_eq!(recent.bounds, [1024e-9, 1_048_576e-9]);
        assert_eq!(recent.counts[0] as f64, recent.over_seconds / 5.0);
    }

    #[test]
    fn delays_are_those_since_the_point_before() {
        let mut series = Series::default();
        series.take(sample(0.0, &delays([0, 1_000_000, 0, 0])));
        assert_eq!(series.points()[0].go_delay_p99, None);
        series.take(sample(5.0, &delays([0, 1_000_000, 10, 0])));
        let p99 = series.points()[1].go_delay_p99.unwrap();
        assert!((1e-3..1.05e-3).contains(&p99), "{p99}");
        series.take(sample(10.0, &delays([0, 1_000_000, 10, 0])));
        assert_eq!(series.points()[2].go_delay_p99, None);
        assert_eq!(series.go_delays().unwrap().counts, [0, 10, 0]);
    }

    #[test]
    fn what_goes_back_is_another_program() {
        let mut series = Series::default();
        series.take(sample(0.0, &delays([0, 100, 0, 0])));
        series.take(sample(5.0, &delays([0, 3, 0, 0])));
        assert_eq!(series.points()[1].go_delay_p99, None);
        assert_eq!(series.go_delays().unwrap().counts, [0, 0, 0]);
        series.take(Sample { go: None, ..sample(10.0, &delays([0; 4])) });
        assert_eq!(series.go_delays(), None);
    }

    #[test]
    fn the_kernels_buckets_are_told_by_octaves() {
        let mut kernel = DelayHistogram::default();
        let mut series = Series::default();
        series.take(Sample { threads: Some(&kernel), ..Sample::default() });
        kernel.buckets[1] = 2;
        kernel.buckets[4] = 3;
        kernel.buckets[97] = 1;
        let point = Point { at: 5.0, ..Point::default() };
        series.take(Sample { point, threads: Some(&kernel), go: None });
        let recent = series.thread_delays().unwrap();
        assert_eq!((recent.bounds.len(), recent.counts.len()), (25, 26));
        assert_eq!((recent.bounds[0], recent.bounds[24]), ((-20_f64).exp2(), 16.0));
        assert_eq!((recent.counts[1], recent.counts[25]), (5, 1));
        assert_eq!(series.points()[1].thread_delay_p99, Some(16.0));
    }

    #[test]
    fn quantiles() {
        let bounds = [1.0, 2.0];
        assert_eq!(quantile(&bounds, &[0, 0, 0], 0.99), None);
        assert_eq!(quantile(&bounds, &[4, 0, 0], 0.5), Some(0.5));
        assert_eq!(quantile(&bounds, &[1, 1, 0], 1.0), Some(2.0));
        assert_eq!(quantile(&bounds, &[1, 1, 98], 0.99), Some(2.0));
        assert_eq!(quantile(&[], &[3], 0.5), Some(0.0));
    }
}
