//! What is made of snapshots, to the last field.

use std::sync::Arc;

use goroscope_ebpf_probes::buckets::BUCKETS;
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value},
    metrics::v1::{
        HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, metric::Data,
        number_data_point::Value,
    },
};

use super::batches::Batches;
use crate::model::{
    process::{Origin, Process},
    runtime::Runtime,
    sample::{bare, site, snapshot, whole},
    site::Site,
    snapshot::Snapshot,
};

const START: u64 = 1_767_225_600_250_000_000;
const WATCHED: u64 = 1_767_225_610_000_000_000;
const NOW: u64 = 1_767_225_700_000_000_000;
const CUMULATIVE: i32 = 2;

fn sent(snapshot: Snapshot) -> Vec<ResourceMetrics> {
    let requests = Batches::of(Arc::new(snapshot), "host".into());
    requests.flat_map(|request| request.resource_metrics).collect()
}

/// What is sent of one process.
fn of(process: Process) -> ResourceMetrics {
    let mut sent = sent(snapshot(vec![process]));
    assert_eq!(sent.len(), 2, "the agent, and the process");
    sent.remove(1)
}

fn metric<'a>(resource: &'a ResourceMetrics, name: &str) -> Option<&'a Metric> {
    let [scope] = &resource.scope_metrics[..] else { panic!("{resource:?}") };
    let mut named = scope.metrics.iter().filter(|metric| metric.name == name);
    let found = named.next();
    assert!(named.next().is_none(), "{name} is there twice");
    found
}

fn text(attributes: &[KeyValue]) -> String {
    let text = |attribute: &KeyValue| {
        let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            any_value::Value::StringValue(text) => text.clone(),
            any_value::Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        format!("{}={value}", attribute.key)
    };
    attributes.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn numbers(points: &[NumberDataPoint]) -> Vec<(String, i64)> {
    let value = |point: &NumberDataPoint| match point.value {
        Some(Value::AsInt(value)) => value,
        ref other => panic!("{other:?}"),
    };
    points.iter().map(|point| (text(&point.attributes), value(point))).collect()
}

/// Kind, start and values of a sum.
fn sum(resource: &ResourceMetrics, name: &str) -> (bool, u64, Vec<(String, i64)>) {
    let Some(Data::Sum(sum)) = &metric(resource, name).unwrap().data else { panic!("{name}") };
    assert_eq!(sum.aggregation_temporality, CUMULATIVE);
    let start = sum.data_points[0].start_time_unix_nano;
    for point in &sum.data_points {
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (start, NOW), "{name}");
    }
    (sum.is_monotonic, start, numbers(&sum.data_points))
}

fn histogram<'a>(resource: &'a ResourceMetrics, name: &str) -> &'a HistogramDataPoint {
    let Some(Data::Histogram(histogram)) = &metric(resource, name).unwrap().data else {
        panic!("{name}")
    };
    assert_eq!(histogram.aggregation_temporality, CUMULATIVE);
    let [point] = &histogram.data_points[..] else { panic!("{histogram:?}") };
    assert_eq!(point.time_unix_nano, NOW);
    point
}

#[test]
fn numbers_of_the_runtime() {
    let sent = of(whole(7));
    for (name, grows, value) in [
        ("go.goroutine.count", false, 42),
        ("go.processor.limit", false, 4),
        ("go.memory.limit", false, 64_000_000),
        ("go.memory.allocated", true, 99_000_000),
        ("go.memory.allocations", true, 5678),
        ("go.memory.gc.goal", false, 8_000_000),
        ("go.memory.gc.cycles", true, 12),
        ("go.config.gogc", false, 100),
        ("goroscope.heap.live", false, 4_000_000),
        ("goroscope.heap.objects", false, 1234),
        ("goroscope.goroutines.created", true, 1000),
        ("goroscope.goroutines.exited", true, 952),
        ("goroscope.goroutines.system", false, 6),
        ("process.thread.count", false, 9),
    ] {
        assert_eq!(sum(&sent, name), (grows, START, vec![(String::new(), value)]), "{name}");
    }
    let kind = |kind: &str| format!("go.memory.type={kind}");
    // In all, what is mapped.
    let used = vec![(kind("stack"), 262_144), (kind("other"), 12_000_000 - 262_144)];
    assert_eq!(sum(&sent, "go.memory.used"), (false, START, used));
}

#[test]
fn histograms_of_the_runtime_keep_their_buckets() {
    let sent = of(whole(7));
    let delay = histogram(&sent, "go.schedule.duration");
    assert_eq!((delay.start_time_unix_nano, delay.count, delay.sum), (START, 9, None));
    assert_eq!(delay.explicit_bounds, [0.0, 1.024e-6, 1.048_576e-3]);
    assert_eq!(delay.bucket_counts, [0, 6, 2, 1]);
    let pauses = histogram(&sent, "go.memory.gc.pause.duration");
    assert_eq!((pauses.count, pauses.sum), (24, Some(0.003)));
    assert_eq!(pauses.bucket_counts, [0, 20, 4, 0]);
}

#[test]
fn delays_of_threads_keep_their_buckets() {
    let process = whole(7);
    let buckets = process.sched.as_ref().unwrap().delay.buckets;
    let sent = of(process);
    let delay = histogram(&sent, "goroscope.thread.schedule.duration");
    assert_eq!((delay.start_time_unix_nano, delay.count), (WATCHED, 18));
    assert_eq!(delay.sum, Some(70.5));
    assert_eq!(delay.bucket_counts, buckets);
    assert_eq!(delay.explicit_bounds.len(), BUCKETS - 1);
    assert_eq!(delay.explicit_bounds[0], 2_f64.powi(-20));
    assert_eq!(delay.explicit_bounds.last(), Some(&16.0));
    assert!(delay.explicit_bounds.is_sorted());
    let kind = |kind: &str| format!("process.context_switch.type={kind}");
    let switches = vec![(kind("voluntary"), 11), (kind("involuntary"), 22)];
    assert_eq!(sum(&sent, "process.context_switches"), (true, WATCHED, switches));
}

#[test]
fn sites_and_leaks() {
    let sent = of(whole(7));
    let site = |function: &str, line: u32| {
        format!(
            "goroscope.site.created_by={function} goroscope.site.location=main.go:{line} \
             goroscope.site.start={function}.func1"
        )
    };
    let (serve, main) = (site("main.serve", 12), site("main.main", 7));
    let values = |a, b| vec![(serve.clone(), a), (main.clone(), b)];
    assert_eq!(sum(&sent, "goroscope.site.goroutines"), (false, START, values(40, 2)));
    assert_eq!(sum(&sent, "goroscope.site.created"), (true, WATCHED, values(50, 12)));
    assert_eq!(sum(&sent, "goroscope.site.exited"), (true, WATCHED, values(10, 10)));
    let leak = format!(
        "{serve} goroscope.goroutine.wait_reason=chan receive goroscope.leak.verdict=confirmed"
    );
    assert_eq!(sum(&sent, "goroscope.leak.goroutines"), (false, START, vec![(leak, 38)]));
    let reason = |reason: &str| format!("goroscope.goroutine.wait_reason={reason}");
    let waiting = vec![(reason("chan receive"), 38), (reason("select"), 2)];
    assert_eq!(sum(&sent, "goroscope.goroutines.waiting").2, waiting);
}

#[test]
fn the_rest_of_the_sites_is_no_counter() {
    let sites = (1..=5).map(|line| site("main.f", line, u64::from(line))).collect();
    let snapshot = Snapshot { top_sites: Some(2), ..snapshot(vec![Process { sites, ..whole(7) }]) };
    let sent = sent(snapshot);
    let live = sum(&sent[1], "goroscope.site.goroutines").2;
    assert_eq!(live.iter().map(|(_, live)| *live).collect::<Vec<_>>(), [5, 4, 6]);
    assert!(live[2].0.contains("created_by=other"), "{live:?}");
    assert_eq!(sum(&sent[1], "goroscope.site.created").2.len(), 2);
}

#[test]
fn hostile_names_are_made_harmless_and_stay_apart_or_become_one() {
    let long = "x".repeat(5000);
    let named = |created_by: &str| {
        let mut site: Site = site("f", 1, 3);
        site.name.as_mut().unwrap().created_by = created_by.to_owned();
        site
    };
    // The same but for what is cut out, and for what is replaced.
    let (one, other) = (format!("{long}1{long}"), format!("{long}2{long}"));
    let sites = vec![named(&one), named(&other), named("a\u{1b}"), named("a\u{7}")];
    let sent = of(Process { sites, exe: format!("/{long}/\u{1b}[2J"), ..whole(7) });
    let live = sum(&sent, "goroscope.site.goroutines").2;
    assert_eq!(live.iter().map(|(_, live)| *live).collect::<Vec<_>>(), [6, 6]);
    let all = format!("{sent:?}");
    assert!(!all.contains("\\u{1b}") && !all.contains(&"x".repeat(201)));
}

#[test]
fn what_is_not_known_gives_no_point() {
    let sent = of(bare(8));
    assert_eq!(sent.scope_metrics[0].metrics, []);
    assert_eq!(
        text(&sent.resource.unwrap().attributes),
        "service.name=bare service.instance.id=host:8:100 host.name=host os.type=linux \
         process.pid=8 process.executable.name=bare process.executable.path=/opt/bare \
         process.creation.time=2026-01-01T00:00:00.250Z"
    );
    // Counts are known, but neither the heap nor the collector.
    let process = whole(7);
    let runtime = process.runtime.as_ref().map(|runtime| Runtime {
        counts: runtime.counts,
        heap: runtime.heap,
        ..Runtime::default()
    });
    let sent = of(Process { runtime, sched: None, probed: None, ..process });
    assert!(metric(&sent, "go.goroutine.count").is_some());
    assert!(metric(&sent, "go.memory.allocated").is_some());
    for name in [
        "go.memory.used",
        "go.memory.limit",
        "go.memory.gc.goal",
        "go.memory.gc.cycles",
        "go.schedule.duration",
        "go.config.gogc",
        "goroscope.goroutines.by_state",
        "goroscope.site.goroutines",
        "goroscope.site.created",
        "goroscope.thread.schedule.duration",
        "goroscope.probe.cost",
    ] {
        assert!(metric(&sent, name).is_none(), "{name}");
    }
}

#[test]
fn a_resource_tells_whose_it_is() {
    let process = Process {
        origin: Origin {
            pod_uid: Some("uid".to_owned()),
            container_id: Some("0123".to_owned()),
            ..whole(7).origin
        },
        ..whole(7)
    };
    assert_eq!(
        text(&of(process).resource.unwrap().attributes),
        "service.name=api service.instance.id=host:7:100 host.name=host os.type=linux \
         process.pid=7 process.executable.name=api process.executable.path=/usr/local/bin/api \
         process.creation.time=2026-01-01T00:00:00.250Z process.runtime.name=go \
         process.runtime.version=go1.26.6 process.executable.build_id.go=abc/def \
         container.id=0123 k8s.namespace.name=shop k8s.pod.name=api-0 k8s.pod.uid=uid \
         k8s.container.name=api"
    );
    let unit = Origin { unit: Some("api.service".to_owned()), ..Origin::default() };
    let attributes = of(Process { origin: unit, ..whole(7) }).resource.unwrap().attributes;
    assert!(text(&attributes).ends_with(" systemd.unit.name=api.service"));
}

#[test]
fn the_agent_comes_first() {
    let sent = sent(snapshot(vec![whole(7), bare(8)]));
    let agent = &sent[0];
    assert!(
        text(&agent.resource.as_ref().unwrap().attributes).starts_with("service.name=goroscope")
    );
    let status = |status: &str| format!("goroscope.status={status}");
    let statuses = vec![(status("active"), 1), (status("degraded"), 0), (status("failed"), 1)];
    let start = 1_767_225_500_500_000_000;
    assert_eq!(sum(agent, "goroscope.processes"), (false, start, statuses));
    assert_eq!(sum(agent, "goroscope.events.lost").2.iter().map(|(_, n)| n).sum::<i64>(), 10);
}

#[test]
fn a_clock_that_was_set_back_starts_nothing_in_the_future() {
    let sent = sent(Snapshot { taken_at: 1000.0, ..snapshot(vec![whole(7)]) });
    let Some(Data::Sum(sum)) = &metric(&sent[1], "go.goroutine.count").unwrap().data else {
        panic!("no sum")
    };
    let point = &sum.data_points[0];
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (1_000_000_000_000, 1_000_000_000_000)
    );
}
