//! Hands the samples of a scrape to `prometheus-client`, which encodes them.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
    },
    metrics::MetricType,
    registry,
};

use super::{
    ALL,
    family::{Family, Kind, Sample, Unit, Value},
    histogram::Histogram,
    scrape::Scrape,
};
use crate::model::snapshot::Snapshot;

/// The samples of a snapshot, by family.
pub(super) struct Samples(Vec<(&'static Family, Vec<Sample>)>);

impl Samples {
    /// Collects them. Families without samples are left out.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let scrape = Scrape::of(snapshot);
        let samples = |family: &'static Family| {
            let samples = (family.samples)(&scrape);
            (!samples.is_empty()).then_some((family, samples))
        };
        Self(ALL.into_iter().flatten().filter_map(samples).collect())
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(family, samples)| (family.name, samples)))
            .finish()
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (family, samples) in &self.0 {
            let unit = family.unit.map(|unit| match unit {
                Unit::Seconds => registry::Unit::Seconds,
                Unit::Bytes => registry::Unit::Bytes,
            });
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let help = format!("{}.", family.help);
            let mut metric = encoder.encode_descriptor(family.name, &help, unit.as_ref(), kind)?;
            for sample in samples {
                // The crate writes the labels of an info itself, and braces around no labels.
                if family.kind == Kind::Info {
                    metric.encode_info(&sample.labels)?;
                } else if sample.labels.is_empty() {
                    encode(&mut metric, family.kind, &sample.value)?;
                } else {
                    encode(&mut metric.encode_family(&sample.labels)?, family.kind, &sample.value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (Kind::Counter, Value::Real(real)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(real, None)
        }
        (Kind::Gauge, Value::Count(count)) => metric.encode_gauge(count),
        (Kind::Gauge, Value::Real(real)) => metric.encode_gauge(real),
        (Kind::Histogram, Value::Histogram(histogram)) => encode_histogram(metric, histogram),
        // A family whose samples are not of its kind; a test makes every family once.
        _ => Err(fmt::Error),
    }
}

fn encode_histogram(metric: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let Some(native) = &histogram.native else {
        return metric.encode_histogram::<NoLabelSet>(
            histogram.sum,
            histogram.count,
            &histogram.classic,
            None,
        );
    };
    metric.encode_histogram_with_native::<NoLabelSet>(
        histogram.sum,
        histogram.count,
        &histogram.classic,
        None,
        NativeHistogram {
            schema: native.schema,
            zero_threshold: native.zero_threshold,
            zero_count: native.zero_count,
            negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
            positive: NativeHistogramBuckets { spans: &native.spans, deltas: &native.deltas },
            created: None,
        },
    )
}
