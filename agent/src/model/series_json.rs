//! The last minutes of a process as JSON, in columns: as charts want them.

use serde::Serialize;

use super::series::{Distribution, EVERY, Point, Series};

/// The last minutes of a process. Columns have a value for each of `at`; `null` where it is not
/// known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesJson {
    /// Points are so far apart, in seconds.
    pub every_seconds: u64,
    /// In seconds since the Unix epoch.
    pub at: Vec<f64>,
    /// Live goroutines of the program.
    pub goroutines: Vec<Option<u64>>,
    /// Goroutines ever created: what it grows by is births.
    pub created: Vec<Option<u64>>,
    /// Those that ended.
    pub exited: Vec<Option<u64>>,
    /// OS threads of the runtime.
    pub threads: Vec<Option<u64>>,
    /// Between two points, 99 % of the goroutines that could run waited no longer, in seconds.
    pub go_delay_p99: Vec<Option<f64>>,
    /// The same of the threads that waited for a CPU.
    pub thread_delay_p99: Vec<Option<f64>>,
    /// How long goroutines waited to run, in the last minutes.
    pub go_delays: Option<DistributionJson>,
    /// How long threads waited for a CPU, in the last minutes.
    pub thread_delays: Option<DistributionJson>,
}

/// A distribution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DistributionJson {
    /// Time that it is of, in seconds.
    pub over_seconds: f64,
    /// Upper bounds of the buckets but for the last, which has none, in seconds.
    pub bounds: Vec<f64>,
    /// Observations in each bucket.
    pub counts: Vec<u64>,
}

impl From<&Series> for SeriesJson {
    fn from(series: &Series) -> Self {
        fn column<T>(series: &Series, of: impl Fn(&Point) -> T) -> Vec<T> {
            series.points().iter().map(of).collect()
        }
        Self {
            every_seconds: EVERY.as_secs(),
            at: column(series, |point| point.at),
            goroutines: column(series, |point| point.goroutines),
            created: column(series, |point| point.created),
            exited: column(series, |point| point.exited),
            threads: column(series, |point| point.threads),
            go_delay_p99: column(series, |point| point.go_delay_p99),
            thread_delay_p99: column(series, |point| point.thread_delay_p99),
            go_delays: series.go_delays().map(DistributionJson::from),
            thread_delays: series.thread_delays().map(DistributionJson::from),
        }
    }
}

impl From<Distribution> for DistributionJson {
    fn from(Distribution { over_seconds, bounds, counts }: Distribution) -> Self {
        Self { over_seconds, bounds, counts }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::model::series::Sample;

    #[test]
    fn columns_are_of_one_length() {
        let mut series = Series::default();
        let point = Point { at: 1.5, goroutines: Some(3), ..Point::default() };
        series.take(Sample { point, ..Sample::default() });
        series.take(Sample { point, ..Sample::default() });
        assert_eq!(
            to_value(SeriesJson::from(&series)).unwrap(),
            json!({
                "every_seconds": 5, "at": [1.5, 1.5], "goroutines": [3, 3],
                "created": [null, null], "exited": [null, null], "threads": [null, null],
                "go_delay_p99": [null, null], "thread_delay_p99": [null, null],
                "go_delays": null, "thread_delays": null,
            })
        );
    }
}
