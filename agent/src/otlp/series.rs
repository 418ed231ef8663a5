//! Metrics of one resource at one moment, in the form of OTLP: cumulative, each with the moment
//! since which it counts. What is not known gives no point, and a metric without points is left out.

use std::collections::BTreeMap;

use goroscope_ebpf_probes::buckets::upper_bound_exponent;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        metric::Data, number_data_point::Value,
    },
};

use crate::model::{bounded::bounded, delay::DelayHistogram, runtime::TimeHistogram};

/// What a metric is called and means.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) name: &'static str,
    /// By the Unified Code for Units of Measure.
    pub(super) unit: &'static str,
    /// One sentence.
    pub(super) description: &'static str,
}

/// A moment, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub(super) u64);

impl Nanos {
    /// From seconds since the Unix epoch, which tell microseconds apart.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates, and no moment is before 1970"
    )]
    pub(super) fn of(epoch_seconds: f64) -> Self {
        Self(((epoch_seconds * 1e6).round() as u64).saturating_mul(1000))
    }
}

/// What tells apart the points of a metric.
pub(super) type Attributes = Vec<KeyValue>;

/// An attribute; its value may come from a target.
pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(bounded(value).to_string());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The same of a number.
pub(super) fn number(key: &str, value: u64) -> KeyValue {
    let value = any_value::Value::IntValue(signed(value));
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The metrics of a resource.
#[derive(Debug)]
pub(super) struct Series {
    now: Nanos,
    pub(super) metrics: Vec<Metric>,
}

impl Series {
    pub(super) fn at(now: Nanos) -> Self {
        Self { now, metrics: Vec::new() }
    }

    /// What only grows.
    pub(super) fn counter(&mut self, about: About, since: Nanos, value: Option<u64>) {
        self.sum(about, since, true, value.map(|value| (Vec::new(), value)));
    }

    /// The same, by attributes.
    pub(super) fn counters(
        &mut self,
        about: About,
        since: Nanos,
        values: impl IntoIterator<Item = (Attributes, u64)>,
    ) {
        self.sum(about, since, true, values);
    }

    /// What goes up and down, and can be added up over processes.
    pub(super) fn amount(&mut self, about: About, since: Nanos, value: Option<u64>) {
        self.sum(about, since, false, value.map(|value| (Vec::new(), value)));
    }

    /// The same, by attributes.
    pub(super) fn amounts(
        &mut self,
        about: About,
        since: Nanos,
        values: impl IntoIterator<Item = (Attributes, u64)>,
    ) {
        self.sum(about, since, false, values);
    }

    /// A measure that only grows.
    pub(super) fn measure(&mut self, about: About, since: Nanos, value: Option<f64>) {
        let point = value.map(|value| self.point(Vec::new(), since, Value::AsDouble(value)));
        self.add(about, point, |data_points| sum(data_points, true));
    }

    /// What goes up and down, and adding it up makes no sense.
    pub(super) fn gauges(
        &mut self,
        about: About,
        values: impl IntoIterator<Item = (Attributes, i64)>,
    ) {
        let now = self.now;
        let point = |(attributes, value)| NumberDataPoint {
            attributes,
            time_unix_nano: now.0,
            value: Some(Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        let points: Vec<_> = values.into_iter().map(point).collect();
        self.add(about, points, |data_points| Data::Gauge(Gauge { data_points }));
    }

    /// Durations that the Go runtime counted, in its own buckets. It keeps no sum of most of them.
    pub(super) fn durations(
        &mut self,
        about: About,
        since: Nanos,
        durations: Option<&TimeHistogram>,
        sum_nanoseconds: Option<u64>,
    ) {
        let Some(durations) = durations else { return };
        let bounds = durations.bounds.iter().map(|bound| seconds(*bound)).collect();
        let sum = sum_nanoseconds.map(seconds);
        self.histogram(about, since, (bounds, durations.counts.clone()), sum);
    }

    /// Delays that the kernel side counted, in its own buckets.
    pub(super) fn delays(&mut self, about: About, since: Nanos, delays: Option<&DelayHistogram>) {
        let Some(delays) = delays else { return };
        let quarters = (0..delays.buckets.len()).map_while(upper_bound_exponent);
        let bounds = quarters.map(|quarters| (f64::from(quarters) / 4.0).exp2()).collect();
        let sum = Some(seconds(delays.sum_nanoseconds));
        self.histogram(about, since, (bounds, delays.buckets.to_vec()), sum);
    }

    fn histogram(
        &mut self,
        about: About,
        since: Nanos,
        (explicit_bounds, bucket_counts): (Vec<f64>, Vec<u64>),
        sum: Option<f64>,
    ) {
        let point = HistogramDataPoint {
            start_time_unix_nano: since.min(self.now).0,
            time_unix_nano: self.now.0,
            count: bucket_counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            sum,
            bucket_counts,
            explicit_bounds,
            ..HistogramDataPoint::default()
        };
        self.metrics.push(metric(
            about,
            Data::Histogram(Histogram {
                data_points: vec![point],
                aggregation_temporality: CUMULATIVE,
            }),
        ));
    }

    fn sum(
        &mut self,
        about: About,
        since: Nanos,
        is_monotonic: bool,
        values: impl IntoIterator<Item = (Attributes, u64)>,
    ) {
        let point =
            |(attributes, value)| self.point(attributes, since, Value::AsInt(signed(value)));
        let points: Vec<_> = values.into_iter().map(point).collect();
        self.add(about, points, |data_points| sum(data_points, is_monotonic));
    }

    fn point(&self, attributes: Attributes, since: Nanos, value: Value) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            // Clocks are set back now and then.
            start_time_unix_nano: since.min(self.now).0,
            time_unix_nano: self.now.0,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn add(
        &mut self,
        about: About,
        points: impl IntoIterator<Item = NumberDataPoint>,
        data: impl FnOnce(Vec<NumberDataPoint>) -> Data,
    ) {
        let points: Vec<_> = points.into_iter().collect();
        if !points.is_empty() {
            self.metrics.push(metric(about, data(points)));
        }
    }
}

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

fn sum(data_points: Vec<NumberDataPoint>, is_monotonic: bool) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic })
}

fn metric(about: About, data: Data) -> Metric {
    let About { name, unit, description } = about;
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// Adds up what has the same key once that is made harmless: the words are the target's.
pub(super) fn by_words<const N: usize>(
    values: impl IntoIterator<Item = ([String; N], u64)>,
) -> BTreeMap<[String; N], u64> {
    let mut by_words = BTreeMap::new();
    for (words, value) in values {
        let words = words.map(|word| bounded(&word).to_string());
        let sum: &mut u64 = by_words.entry(words).or_default();
        *sum = sum.saturating_add(value);
    }
    by_words
}
