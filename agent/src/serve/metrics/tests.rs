//! The metrics of literal snapshots, in each format.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use goroscope_ebpf_probes::buckets::BUCKETS;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    MetricFamily, MetricType,
};
use prost::Message as _;

use super::{label::LONGEST, parse::parse, *};
use crate::{
    discover::identity::StartTime,
    model::sample::{bare, site, snapshot, whole},
    model::{process::Process, snapshot::Snapshot},
};

fn text(snapshot: &Snapshot, format: Format) -> String {
    String::from_utf8(Exposition::of(snapshot).write(format).unwrap()).unwrap()
}

fn messages(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let bytes = Exposition::of(snapshot).write(Format::Protobuf).unwrap();
    let mut rest = bytes.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

fn assert_lines(text: &str, expected: &[&str]) {
    let lines: HashSet<&str> = text.lines().collect();
    for line in expected {
        assert!(lines.contains(line), "{line}\nis not in\n{text}");
    }
}

const API: &str = r#"pid="7",exe="api",namespace="shop",pod="api-0",container="api""#;

#[test]
fn prometheus_text() {
    let text = text(&snapshot(vec![whole(7), bare(8)]), Format::Text);
    let api = |line: &str| line.replace("{API", &format!("{{{API}"));
    let lines = [
        "# TYPE goroscope_goroutines gauge",
        "goroscope_goroutines{API} 42",
        "# TYPE goroscope_goroutines_created_total counter",
        "goroscope_goroutines_created_total{API} 1000",
        "# TYPE goroscope_goroutines_exited_total counter",
        "goroscope_goroutines_exited_total{API} 952",
        r#"goroscope_goroutines_by_state{API,state="running"} 2"#,
        r#"goroscope_goroutines_by_state{API,state="waiting"} 40"#,
        r#"goroscope_goroutines_waiting{API,reason="chan receive"} 38"#,
        "goroscope_system_goroutines{API} 6",
        "# TYPE goroscope_goroutine_sched_delay_seconds histogram",
        r#"goroscope_goroutine_sched_delay_seconds_bucket{API,le="0.000001024"} 6"#,
        r#"goroscope_goroutine_sched_delay_seconds_bucket{API,le="0.000524288"} 6"#,
        r#"goroscope_goroutine_sched_delay_seconds_bucket{API,le="0.001048576"} 8"#,
        r#"goroscope_goroutine_sched_delay_seconds_bucket{API,le="+Inf"} 9"#,
        "goroscope_goroutine_sched_delay_seconds_count{API} 9",
        "goroscope_gomaxprocs{API} 4",
        "# TYPE goroscope_site_goroutines gauge",
        r#"goroscope_site_goroutines{API,created_by="main.serve",location="main.go:12",start="main.serve.func1"} 40"#,
        "# TYPE goroscope_site_goroutines_created_total counter",
        r#"goroscope_site_goroutines_created_total{API,created_by="main.main",location="main.go:7",start="main.main.func1"} 12"#,
        "# TYPE goroscope_site_goroutines_exited_total counter",
        r#"goroscope_site_goroutines_exited_total{API,created_by="main.main",location="main.go:7",start="main.main.func1"} 10"#,
        "# TYPE goroscope_sites_folded gauge",
        "goroscope_sites_folded{API} 0",
        "goroscope_site_events_lost_total{API} 4",
        "# TYPE goroscope_thread_sched_delay_seconds histogram",
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="9.5367431640625e-7"} 5"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="0.0009765625"} 5"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="0.00390625"} 14"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="1.0"} 15"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="16.0"} 15"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{API,le="+Inf"} 18"#,
        "goroscope_thread_sched_delay_seconds_sum{API} 70.5",
        "goroscope_thread_sched_delay_seconds_count{API} 18",
        "# TYPE goroscope_thread_switches_total counter",
        r#"goroscope_thread_switches_total{API,kind="voluntary"} 11"#,
        r#"goroscope_thread_switches_total{API,kind="preempted"} 22"#,
        "goroscope_threads{API} 9",
        r#"goroscope_leak_goroutines{API,created_by="main.serve",location="main.go:12",start="main.serve.func1",wait_reason="chan receive",verdict="confirmed"} 38"#,
        "# TYPE goroscope_gc_cycles_total counter",
        "goroscope_gc_cycles_total{API} 12",
        r#"goroscope_gc_pause_seconds_bucket{API,le="0.001048576"} 24"#,
        "goroscope_gc_pause_seconds_sum{API} 0.003",
        "goroscope_heap_live_bytes{API} 4000000",
        "goroscope_heap_goal_bytes{API} 8000000",
        "goroscope_heap_objects{API} 1234",
        "goroscope_heap_allocated_bytes_total{API} 99000000",
        "goroscope_stack_bytes{API} 262144",
        "# TYPE goroscope_processes gauge",
        r#"goroscope_processes{status="active"} 1"#,
        r#"goroscope_processes{status="degraded"} 0"#,
        r#"goroscope_processes{status="failed"} 1"#,
        "# TYPE goroscope_process_info gauge",
        r#"goroscope_process_info{API,go_version="go1.26.6",arch="amd64",module="example.org/api",build_id="abc/def"} 1"#,
        "# TYPE goroscope_process_start_time_seconds gauge",
        "goroscope_process_start_time_seconds{API} 1767225600.25",
        "# TYPE goroscope_probes_attached gauge",
        "goroscope_probes_attached{API} 2",
        r#"goroscope_probes_attached{pid="8",exe="bare"} 0"#,
        "# TYPE goroscope_probe_hits_total counter",
        "goroscope_probe_hits_total{API} 2000",
        "# TYPE goroscope_probe_cost_seconds_total counter",
        "goroscope_probe_cost_seconds_total{API} 0.002",
        "goroscope_probe_gaps_total{API} 1",
        "goroscope_probe_gap_seconds_total{API} 2.5",
        r#"goroscope_count_drift_goroutines{API,event="created"} 0"#,
        r#"goroscope_count_drift_goroutines{API,event="exited"} -3"#,
        "# TYPE goroscope_events_lost_total counter",
        r#"goroscope_events_lost_total{source="events"} 1"#,
        r#"goroscope_events_lost_total{source="processes"} 2"#,
        r#"goroscope_events_lost_total{source="sites"} 3"#,
        r#"goroscope_events_lost_total{source="threads"} 4"#,
        "goroscope_scan_timestamp_seconds{API} 1767225699.5",
        "goroscope_scan_duration_seconds{API} 0.25",
        "goroscope_scans_total{API} 7",
        "goroscope_scan_torn_total{API} 3",
        "goroscope_scan_unreadable_total{API} 2",
        "# TYPE goroscope_origin_lookup_failures_total counter",
        r#"goroscope_origin_lookup_failures_total{source="cri"} 1"#,
        r#"goroscope_origin_lookup_failures_total{source="kubelet"} 2"#,
        r#"goroscope_origin_lookup_failures_total{source="docker"} 3"#,
        r#"goroscope_origin_lookup_failures_total{source="podman"} 4"#,
        "# TYPE process_cpu_seconds_total counter",
        "process_cpu_seconds_total 1.5",
        "process_resident_memory_bytes 12345678",
        "process_open_fds 33",
        "process_start_time_seconds 1767225500.5",
    ];
    let lines: Vec<String> = lines.into_iter().map(api).collect();
    assert_lines(&text, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(text.contains("\ngoroscope_build_info{version=\""));
    for not in ["# EOF", "# UNIT", " info\n", "_created{"] {
        assert!(!text.contains(not), "{not}");
    }
    // Of the bare process there is nothing that is not known.
    let of_bare: BTreeSet<String> = parse(&text)
        .into_keys()
        .filter(|(_, labels)| labels.get("pid").is_some_and(|pid| pid == "8"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        of_bare.into_iter().collect::<Vec<_>>(),
        [
            "goroscope_probes_attached",
            "goroscope_process_start_time_seconds",
            "goroscope_watch_failure_info",
        ]
    );
}

#[test]
fn openmetrics() {
    let text = text(&snapshot(vec![whole(7)]), Format::OpenMetrics);
    let lines = [
        "# TYPE goroscope_goroutines_created counter",
        "goroscope_goroutines_created_total{API} 1000",
        "# TYPE goroscope_thread_sched_delay_seconds histogram",
        "# UNIT goroscope_thread_sched_delay_seconds seconds",
        r#"goroscope_thread_sched_delay_seconds_bucket{le="0.00390625",API} 14"#,
        r#"goroscope_thread_sched_delay_seconds_bucket{le="+Inf",API} 18"#,
        "goroscope_thread_sched_delay_seconds_sum{API} 70.5",
        "goroscope_thread_sched_delay_seconds_count{API} 18",
        "# TYPE goroscope_probe_cost_seconds counter",
        "# UNIT goroscope_probe_cost_seconds seconds",
        "goroscope_probe_cost_seconds_total{API} 0.002",
        "# TYPE goroscope_process info",
        r#"goroscope_process_info{API,go_version="go1.26.6",arch="amd64",module="example.org/api",build_id="abc/def"} 1"#,
        "# TYPE goroscope_build info",
        "process_cpu_seconds_total 1.5",
        "# UNIT process_resident_memory_bytes bytes",
        "process_resident_memory_bytes 12345678",
    ];
    let lines: Vec<String> = lines.iter().map(|line| line.replace("API", API)).collect();
    assert_lines(&text, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    // A counter's family is without `_total`, its samples with it.
    assert!(text.lines().all(|line| !(line.starts_with("# TYPE") && line.contains("_total"))));
}

#[test]
fn both_texts_have_the_same_series_and_values() {
    let snapshot = snapshot(vec![whole(7), bare(8), whole(9)]);
    let prometheus = parse(&text(&snapshot, Format::Text));
    assert_eq!(prometheus, parse(&text(&snapshot, Format::OpenMetrics)));
    assert!(prometheus.len() > 80, "{}", prometheus.len());
}

#[test]
fn protobuf() {
    let snapshot = snapshot(vec![whole(7), bare(8)]);
    let families = messages(&snapshot);
    let kinds: BTreeMap<&str, MetricType> =
        families.iter().map(|family| (family.name.as_str(), family.r#type())).collect();
    let text = text(&snapshot, Format::Text);
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let expected = match kind {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            _ => panic!("{line}"),
        };
        assert_eq!(kinds.get(name), Some(&expected), "{name}");
    }
    assert!(families.iter().all(|family| !family.metric.is_empty()), "scrapers refuse empty ones");
    let created = families.iter().find(|f| f.name == "goroscope_goroutines_created_total").unwrap();
    let [metric] = &created.metric[..] else { panic!("{created:?}") };
    assert_eq!(metric.counter.as_ref().unwrap().value, 1000.0);
    let labels: Vec<_> =
        metric.label.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    assert_eq!(
        labels,
        [
            ("pid", "7"),
            ("exe", "api"),
            ("namespace", "shop"),
            ("pod", "api-0"),
            ("container", "api")
        ]
    );
}

#[test]
fn native_histogram_has_every_count_of_the_kernel() {
    let process = whole(7);
    let counted = process.sched.clone().unwrap().delay.buckets;
    let families = messages(&snapshot(vec![process]));
    let family =
        families.iter().find(|f| f.name == "goroscope_thread_sched_delay_seconds").unwrap();
    let histogram = family.metric[0].histogram.as_ref().unwrap();

    assert_eq!(histogram.schema, 2);
    assert_eq!(histogram.zero_threshold, 2_f64.powi(-20));
    assert_eq!(histogram.sample_count, 18);
    assert_eq!(histogram.sample_sum, 70.5);
    assert!(histogram.negative_span.is_empty());
    let mut again = [0_i64; BUCKETS];
    again[0] = histogram.zero_count.try_into().unwrap();
    let (mut index, mut count) = (0, 0);
    let mut deltas = histogram.positive_delta.iter();
    for span in &histogram.positive_span {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            // Index 0 ends at 1 s, which is our bucket 80.
            again[usize::try_from(index + 80).unwrap()] = count;
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None);
    assert_eq!(again.map(|count| u64::try_from(count).unwrap()), counted);
    // The classic buckets are there as well.
    let last = histogram.bucket.last().unwrap();
    assert_eq!((last.upper_bound, last.cumulative_count), (f64::INFINITY, 18));
}

#[test]
fn sites_are_bounded_and_nothing_is_lost() {
    let sites = (0..10_000).map(|i| site(&format!("main.f{i}"), i, u64::from(i))).collect();
    let process = Process { sites, ..whole(7) };
    let samples = parse(&text(&snapshot(vec![process]), Format::Text));
    let of = |name: &str| samples.iter().filter(move |((n, _), _)| n == name).collect::<Vec<_>>();
    let live = of("goroscope_site_goroutines");
    assert_eq!(live.len(), TOP_SITES + 1);
    assert_eq!(live.iter().map(|(_, v)| **v).sum::<f64>(), 49_995_000.0);
    let others: Vec<_> = live
        .iter()
        .filter(|((_, labels), _)| {
            ["created_by", "location", "start"].iter().all(|key| labels[*key] == "other")
        })
        .collect();
    assert_eq!(others.len(), 1);
    assert_eq!(*of("goroscope_sites_folded")[0].1, (10_000 - TOP_SITES) as f64);
}

#[test]
fn sites_that_look_alike_once_shortened_are_one_series() {
    let long = |middle: &str| format!("main.{}{middle}{}", "a".repeat(3000), "b".repeat(3000));
    let mut sites = vec![site(&long("x"), 3, 1), site(&long("y"), 3, 2)];
    for site in &mut sites {
        site.name.as_mut().unwrap().start = "main.run".to_owned();
    }
    // Another folder, the same base name.
    sites.push(site("main.serve", 12, 5));
    sites.push(site("main.serve", 12, 6));
    sites[3].name.as_mut().unwrap().file = "/elsewhere/main.go".to_owned();
    let samples = parse(&text(&snapshot(vec![Process { sites, ..whole(7) }]), Format::Text));
    let live: Vec<_> = samples
        .iter()
        .filter(|((name, _), _)| name == "goroscope_site_goroutines")
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(live.len(), 2);
    assert!(live.contains(&3.0) && live.contains(&11.0), "{live:?}");
}

#[test]
fn a_pid_that_was_used_again_is_the_later_process() {
    let mut later = whole(7);
    later.id.start = StartTime(200);
    later.exe = "/later".to_owned();
    for processes in [vec![whole(7), later.clone()], vec![later.clone(), whole(7)]] {
        let samples = parse(&text(&snapshot(processes), Format::Text));
        let exes: BTreeSet<_> =
            samples.keys().filter_map(|(_, labels)| labels.get("exe")).collect();
        assert_eq!(exes.into_iter().collect::<Vec<_>>(), ["later"]);
    }
}

#[test]
fn hostile_names() {
    let names = [
        "quote\"} 1\ngoroscope_goroutines{pid=\"1",
        "back\\slash\\",
        "\x1b[2J\x1b]0;title\x07",
        "line\r\nbreak\0",
        &"ü".repeat(4000),
        "",
        "{,}=\u{202e}",
    ];
    for name in names {
        let mut process = whole(7);
        process.exe = format!("/bin/{name}");
        process.origin.pod = Some(name.to_owned());
        process.binary.as_mut().unwrap().module = Some(name.to_owned());
        process.sites = vec![site(name, 1, 1)];
        process.sites[0].name.as_mut().unwrap().file = format!("/{name}");
        let snapshot = snapshot(vec![process]);
        let prometheus = parse(&text(&snapshot, Format::Text));
        assert_eq!(prometheus, parse(&text(&snapshot, Format::OpenMetrics)), "{name:?}");
        for (_, labels) in prometheus.keys() {
            for value in labels.values() {
                assert!(value.chars().count() <= LONGEST, "{value}");
                assert!(!value.chars().any(|c| c.is_control() || c == '\u{202e}'), "{value:?}");
            }
        }
        messages(&snapshot);
    }
}

#[test]
fn unknown_cost_of_a_hit_is_no_cost_of_zero() {
    let mut snapshot = snapshot(vec![whole(7)]);
    snapshot.agent.seconds_per_hit = None;
    assert!(!text(&snapshot, Format::Text).contains("goroscope_probe_cost"));
}

#[test]
fn no_process_at_all() {
    let text = text(&Snapshot::default(), Format::OpenMetrics);
    assert_lines(&text, &[r#"goroscope_processes{status="active"} 0"#, "# EOF"]);
    assert!(!text.contains("pid="));
}

#[test]
fn names_and_help_are_as_the_formats_want_them() {
    let mut names = HashSet::new();
    for family in ALL.into_iter().flatten() {
        let name = family.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        for taken_care_of in ["_total", "_info", "_seconds", "_bytes", "_count", "_sum", "_bucket"]
        {
            assert!(!name.ends_with(taken_care_of), "{name}");
        }
        // The crate does not escape help.
        assert!(!family.help.contains(['\\', '"', '\n']) && !family.help.contains("  "), "{name}");
        assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{name}");
    }
}
