//! A snapshot as requests, each small enough for a collector.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::InstrumentationScope,
    metrics::v1::{ResourceMetrics, ScopeMetrics},
    resource::v1::Resource,
};
use prost::Message as _;

use super::{
    agent, goroutines, kernel, resource, runtime,
    series::{Nanos, Series},
};
use crate::model::{process::Process, snapshot::Snapshot};

/// A request is sent when it has grown to this, in bytes before compression. Collectors take 4 MiB
/// at least, as a rule 20 MiB.
const ENOUGH: usize = 2 << 20;
/// Creation sites of a process by name, where the snapshot does not say.
const TOP_SITES: usize = 50;

/// A snapshot as requests. Only the one that is asked for is in memory.
pub(super) struct Batches {
    snapshot: Arc<Snapshot>,
    host: Arc<str>,
    enough: usize,
    /// The process that comes next; `None` where the agent itself comes first.
    next: Option<usize>,
}

impl Batches {
    pub(super) fn of(snapshot: Arc<Snapshot>, host: Arc<str>) -> Self {
        Self { snapshot, host, enough: ENOUGH, next: None }
    }

    fn resource(&self, index: Option<usize>) -> Option<ResourceMetrics> {
        let Some(index) = index else { return Some(of_agent(&self.snapshot, &self.host)) };
        let process = self.snapshot.processes.get(index)?;
        Some(of_process(&self.snapshot, process, &self.host))
    }
}

impl Iterator for Batches {
    type Item = ExportMetricsServiceRequest;

    fn next(&mut self) -> Option<Self::Item> {
        let mut request = ExportMetricsServiceRequest::default();
        let mut length = 0_usize;
        while length < self.enough
            && let Some(resource) = self.resource(self.next)
        {
            self.next = Some(self.next.map_or(0, |index| index.saturating_add(1)));
            length = length.saturating_add(resource.encoded_len());
            request.resource_metrics.push(resource);
        }
        (!request.resource_metrics.is_empty()).then_some(request)
    }
}

fn of_process(snapshot: &Snapshot, process: &Process, host: &str) -> ResourceMetrics {
    let mut series = Series::at(Nanos::of(snapshot.taken_at));
    runtime::of(process, &mut series);
    goroutines::of(process, snapshot.top_sites.unwrap_or(TOP_SITES), &mut series);
    kernel::of(process, snapshot.agent.seconds_per_hit, &mut series);
    scoped(resource::of_process(process, host), series)
}

fn of_agent(snapshot: &Snapshot, host: &str) -> ResourceMetrics {
    let mut series = Series::at(Nanos::of(snapshot.taken_at));
    agent::of(snapshot, &mut series);
    scoped(resource::of_agent(host), series)
}

fn scoped(resource: Resource, series: Series) -> ResourceMetrics {
    let scope = InstrumentationScope {
        name: "goroscope".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics =
        ScopeMetrics { scope: Some(scope), metrics: series.metrics, ..ScopeMetrics::default() };
    ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![metrics],
        ..ResourceMetrics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{bare, snapshot, whole};

    fn sizes(processes: u32, enough: usize) -> Vec<usize> {
        let snapshot = snapshot((1..=processes).map(whole).collect());
        let batches = Batches::of(Arc::new(snapshot), "h".into());
        Batches { enough, ..batches }.map(|request| request.resource_metrics.len()).collect()
    }

    #[test]
    fn every_process_is_in_one_request() {
        assert_eq!(sizes(0, ENOUGH), [1]);
        assert_eq!(sizes(10, ENOUGH), [11]);
        assert_eq!(sizes(3, 1), [1, 1, 1, 1]);
        let sizes = sizes(10, 10_000);
        assert!(sizes.len() > 2 && sizes.iter().sum::<usize>() == 11, "{sizes:?}");
    }

    #[test]
    fn a_thousand_processes_take_several_requests_none_of_them_large() {
        let snapshot = snapshot(
            (1..=1000).map(|pid| if pid % 2 == 0 { whole(pid) } else { bare(pid) }).collect(),
        );
        let lengths: Vec<usize> = Batches::of(Arc::new(snapshot), "h".into())
            .map(|request| request.encoded_len())
            .collect();
        assert!(lengths.iter().all(|length| *length < 2 * ENOUGH), "{lengths:?}");
    }
}
