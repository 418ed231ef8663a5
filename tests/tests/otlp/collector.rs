//! A collector that decodes what it is sent.

use std::{collections::BTreeMap, io::Read as _};

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use goroscope_tests::fake::{Fake, Received};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value},
    metrics::v1::{
        HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, metric::Data,
        number_data_point::Value,
    },
};
use prost::Message as _;

/// Attributes by key.
pub(super) type Attributes = BTreeMap<String, String>;

/// One resource of one request.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) attributes: Attributes,
    metrics: BTreeMap<String, Metric>,
}

/// A number, and what tells it from others of its metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) attributes: Attributes,
    pub(super) value: u64,
    pub(super) start: u64,
    pub(super) time: u64,
}

/// The resources in a request.
pub(super) fn decode(received: &Received) -> Result<Vec<Resource>> {
    ensure!(received.path.ends_with("/v1/metrics"), "{}", received.path);
    ensure!(received.header("content-type") == Some("application/x-protobuf"));
    ensure!(received.header("content-encoding") == Some("gzip"));
    let mut body = Vec::new();
    GzDecoder::new(received.body.as_slice()).read_to_end(&mut body)?;
    let request = ExportMetricsServiceRequest::decode(body.as_slice())?;
    request.resource_metrics.into_iter().map(Resource::of).collect()
}

/// What was sent of this process, request by request.
pub(super) fn of_process(fake: &Fake, pid: u32) -> Result<Vec<Resource>> {
    let pid = pid.to_string();
    let mut found = Vec::new();
    for received in fake.received() {
        let resources = decode(&received)?.into_iter();
        found.extend(resources.filter(|r| r.attributes.get("process.pid") == Some(&pid)));
    }
    Ok(found)
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        match value {
            Some(any_value::Value::StringValue(text)) => text.clone(),
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        }
    };
    list.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

impl Resource {
    fn of(sent: ResourceMetrics) -> Result<Self> {
        let resource = sent.resource.context("no resource")?;
        let mut metrics = BTreeMap::new();
        for scope in sent.scope_metrics {
            ensure!(scope.scope.is_some_and(|scope| scope.name == "goroscope"));
            for metric in scope.metrics {
                let before = metrics.insert(metric.name.clone(), metric);
                ensure!(before.is_none(), "{before:?} is there twice");
            }
        }
        Ok(Self { attributes: attributes(&resource.attributes), metrics })
    }

    pub(super) fn attribute(&self, key: &str) -> Result<&str> {
        let value = self.attributes.get(key).map(String::as_str);
        value.with_context(|| format!("no {key} in {:?}", self.attributes))
    }

    /// The points of a metric with whole numbers; none where there is no such metric.
    pub(super) fn points(&self, name: &str) -> Result<Vec<Point>> {
        let Some(metric) = self.metrics.get(name) else { return Ok(Vec::new()) };
        let points = match metric.data.as_ref().context("no data")? {
            Data::Sum(sum) => {
                ensure!(sum.aggregation_temporality == 2, "{name} is not cumulative");
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            other => anyhow::bail!("{name} is {other:?}"),
        };
        points.iter().map(|point| Point::of(point).with_context(|| name.to_owned())).collect()
    }

    /// The one number of a metric.
    pub(super) fn number(&self, name: &str) -> Result<u64> {
        match &self.points(name)?[..] {
            [point] if point.attributes.is_empty() => Ok(point.value),
            other => anyhow::bail!("{name}: {other:?}"),
        }
    }

    /// Its points by the values of these attributes, joined by blanks, but for those that are 0.
    pub(super) fn by(&self, name: &str, keys: &[&str]) -> Result<BTreeMap<String, u64>> {
        let mut by = BTreeMap::new();
        for point in self.points(name)? {
            let values: Option<Vec<&str>> =
                keys.iter().map(|key| point.attributes.get(*key).map(String::as_str)).collect();
            let key = values.with_context(|| format!("{name}: {point:?}"))?.join(" ");
            if point.value > 0 {
                *by.entry(key).or_insert(0) += point.value;
            }
        }
        Ok(by)
    }

    pub(super) fn histogram(&self, name: &str) -> Result<&HistogramDataPoint> {
        let data = self.metrics.get(name).and_then(|metric| metric.data.as_ref());
        let Some(Data::Histogram(histogram)) = data else { anyhow::bail!("{name}: {data:?}") };
        ensure!(histogram.aggregation_temporality == 2, "{name} is not cumulative");
        histogram.data_points.first().context("no point")
    }

    /// When the numbers were taken, in nanoseconds since the Unix epoch.
    pub(super) fn time(&self) -> Result<u64> {
        let points = self.points("process.thread.count")?;
        Ok(points.first().context("no threads")?.time)
    }
}

impl Point {
    fn of(point: &NumberDataPoint) -> Result<Self> {
        let Some(Value::AsInt(value)) = point.value else { anyhow::bail!("{point:?}") };
        Ok(Self {
            attributes: attributes(&point.attributes),
            value: u64::try_from(value)?,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
        })
    }
}
