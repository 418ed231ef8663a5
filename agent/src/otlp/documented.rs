//! `docs/otlp.md` names every metric and every attribute of a resource, and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{Metric, ResourceMetrics, metric::Data},
};

use super::batches::Batches;
use crate::model::{
    process::{Origin, Process},
    sample::{bare, snapshot, whole},
};

const DOCUMENT: &str = include_str!("../../../docs/otlp.md");

/// Type, unit and attributes by name.
type Metrics = BTreeMap<String, (String, String, BTreeSet<String>)>;

fn rows(cells: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let split = move |row: &'static str| row.split('|').map(str::trim).collect::<Vec<_>>();
    rows.map(split).filter(move |row| row.len() == cells + 2)
}

fn code(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn first(cell: &str) -> String {
    code(cell).next().unwrap()
}

/// A process that has everything, one in a container that is in no pod, and one that has failed.
fn sent() -> Vec<ResourceMetrics> {
    let everything = Process {
        origin: Origin {
            pod_uid: Some("uid".to_owned()),
            container_id: Some("id".to_owned()),
            unit: Some("api.service".to_owned()),
            ..whole(7).origin
        },
        ..whole(7)
    };
    let contained = Process {
        origin: Origin { container: Some("c".to_owned()), ..Origin::default() },
        ..bare(8)
    };
    let snapshot = snapshot(vec![everything, contained, bare(9)]);
    let requests = Batches::of(Arc::new(snapshot), "host".into());
    requests.flat_map(|request| request.resource_metrics).collect()
}

fn keys(attributes: &[KeyValue]) -> impl Iterator<Item = String> {
    attributes.iter().map(|attribute| attribute.key.clone())
}

fn kind_and_attributes(metric: &Metric) -> (&'static str, BTreeSet<String>) {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => (
            if sum.is_monotonic { "counter" } else { "up-down counter" },
            sum.data_points.iter().flat_map(|point| keys(&point.attributes)).collect(),
        ),
        Data::Gauge(gauge) => {
            ("gauge", gauge.data_points.iter().flat_map(|point| keys(&point.attributes)).collect())
        }
        Data::Histogram(_) => ("histogram", BTreeSet::new()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_metric_is_documented_as_it_is() {
    let documented: Metrics = rows(5)
        .map(|row| {
            let attributes = code(row[4]).collect();
            (first(row[1]), (row[2].to_owned(), first(row[3]), attributes))
        })
        .collect();
    let sent = sent();
    let scopes = sent.iter().flat_map(|resource| &resource.scope_metrics);
    let exposed: Metrics = scopes
        .flat_map(|scope| &scope.metrics)
        .map(|metric| {
            let (kind, attributes) = kind_and_attributes(metric);
            (metric.name.clone(), (kind.to_owned(), metric.unit.clone(), attributes))
        })
        .collect();
    for (name, metric) in &exposed {
        assert_eq!(documented.get(name), Some(metric), "{name} in docs/otlp.md, and as it is");
    }
    let gone: Vec<_> = documented.keys().filter(|name| !exposed.contains_key(*name)).collect();
    assert!(gone.is_empty(), "in docs/otlp.md, but not sent: {gone:?}");
}

#[test]
fn every_attribute_of_a_resource_is_documented() {
    let documented: BTreeSet<_> = rows(2).map(|row| first(row[1])).collect();
    let sent = sent();
    let resources = sent.iter().filter_map(|resource| resource.resource.as_ref());
    let sent: BTreeSet<_> = resources.flat_map(|resource| keys(&resource.attributes)).collect();
    assert_eq!(documented, sent);
}
