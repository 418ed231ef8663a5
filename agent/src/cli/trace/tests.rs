//! What is written of a literal trace.

use std::collections::HashMap;

use goroscope_ebpf_probes::trace::{SWITCH_PREEMPTED, Switch, TraceLosses, Transition};
use serde_json::Value;

use super::{cost::Cost, *};
use crate::{
    model::trace::Window,
    probe::{RunTimes, TraceRecord},
};

fn goes(at: u64, old: u8, new: u8, startpc: u64) -> TraceRecord {
    let processor = if new == 2 { 0 } else { -1 };
    let reason = if new == 4 { 14 } else { 0 };
    let (kind, tid, g, goid, reserved) = (1, 11, 100, 7, 0);
    TraceRecord::Transition(Transition {
        kind,
        tid,
        at,
        g,
        goid,
        startpc,
        processor,
        old,
        new,
        reason,
        reserved,
    })
}

fn switch(at: u64, prev: u32, flags: u32, next: u32) -> TraceRecord {
    TraceRecord::Switch(Switch { kind: 2, cpu: 3, at, prev, next, flags, reserved: 0 })
}

/// Born, waits in the queue, runs, loses its CPU for a while, waits for a channel.
fn records() -> Vec<TraceRecord> {
    vec![
        switch(1_000_000, 0, 0, 11),
        goes(2_000_000, 6, 1, 0x4000),
        goes(4_000_123, 1, 2, 0),
        switch(5_000_000, 11, SWITCH_PREEMPTED, 0),
        switch(8_000_000, 0, 0, 11),
        goes(9_000_000, 2, 4, 0),
    ]
}

/// The document and the summary.
fn written(name: &str, losses: TraceLosses, run_times: Option<RunTimes>) -> (String, String) {
    let window = Window { begin: 1_000_000, end: 11_000_000 };
    let cost = Cost::new(&records(), losses, 5e-7, run_times, window);
    let trace = Trace::new(records(), window);
    let totals = trace.totals();
    let host = crate::model::trace::Host { gomaxprocs: 1, cpus: 1 };
    let report = Report {
        pid: Pid(42),
        go_version: "go1.26.6",
        trace: &trace,
        totals,
        advice: advise(&totals, window, host),
        host,
        cost,
        losses,
        ended: Ended::Gone,
        names: &Names::literal(&[(0x4000, name)], &[(14, "chan receive")]),
        threads: &Some(HashMap::from([(11, 5)])),
        top: 10,
        output: Some(std::path::Path::new("t\x1b.json")),
    };
    let mut document = Vec::new();
    chrome::write(&mut document, &report).unwrap();
    (String::from_utf8(document).unwrap(), report::text(&report, None))
}

#[test]
fn the_document() {
    let (text, _) = written("main.work", TraceLosses::default(), None);
    let document: Value = serde_json::from_str(&text).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let shown: Vec<String> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| format!("{} {} {} {}", event["tid"], event["name"], event["ts"], event["dur"]))
        .collect();
    assert_eq!(
        shown,
        [
            "1 \"runnable\" 1000.0 2000.123",
            "1 \"running\" 3000.123 4999.877",
            "1 \"its thread waits for a CPU\" 4000.0 3000.0",
            "1 \"chan receive\" 8000.0 2000.0",
            "2 \"goroutine 7 main.work\" 3000.123 4999.877",
            "3 \"on a CPU\" 0.0 4000.0",
            "3 \"waits for a CPU (preempted)\" 4000.0 3000.0",
            "3 \"on a CPU\" 7000.0 3000.0",
        ]
    );
    let names: Vec<&str> = events
        .iter()
        .filter(|event| event["name"] == "thread_name" || event["name"] == "process_name")
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect();
    let expected = [
        "goroutines of process 42",
        "goroutine 7 main.work",
        "processors (P)",
        "P 0",
        "threads",
        // Its id as we see it.
        "thread 5",
    ];
    assert_eq!(names, expected);
    let other = &document["otherData"];
    assert_eq!(other["totals"]["thread_while_running"], 3_000_000);
    assert_eq!(other["totals"]["go_queue"], 2_000_123);
    assert_eq!((&other["ended"], &other["advice"]), (&"process ended".into(), &"more CPU".into()));
    assert_eq!(other["goroutines"][0]["function"], "main.work");
}

#[test]
fn the_summary() {
    let losses = TraceLosses { goroutines: 3, threads: 4 };
    let time = Duration::from_millis(2);
    let run_times = Some(RunTimes { uprobe: (6, time), tracepoints: (7, time) });
    let (_, text) = written("main.work", losses, run_times);
    for line in [
        "process 42 (go1.26.6), traced for 10.0 ms, until the process ended\n",
        "  waited in Go's run queue                              2.00 ms\n",
        "  their thread waited for a CPU                         3.00 ms\n",
        "LOST: 3 events of goroutines and 4 of threads",
        "Most of it was threads waiting for a CPU (GOMAXPROCS 1, 1 CPUs allowed)",
        "about 3.00 µs, 0.03 % of a core (6 hits of 0.50 µs).\n",
        "programs ran for 2.00 ms at those hits, and for 2.00 ms at 7 switches",
        "t\\u{1b}.json opens in",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn names_of_targets_do_no_harm() {
    let name = format!("\x1b[31m\"</script>\u{202e}{}", "x".repeat(4000));
    let (document, text) = written(&name, TraceLosses::default(), None);
    for shown in [&document, &text] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}') && shown.len() < 8000, "{shown:?}");
    }
    serde_json::from_str::<Value>(&document).unwrap();
}
