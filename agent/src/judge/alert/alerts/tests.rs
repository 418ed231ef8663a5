//! The alerts of made-up processes.

use std::sync::Arc;

use super::*;
use crate::{
    discover::identity::{Pid, StartTime},
    judge::alert::Alert,
    model::{
        leak::{Evidence, Leak},
        process::Origin,
        runtime::{Counts, GoroutineTable, Runtime},
        site::{Site, SiteName},
        watch::{Watch, Watches},
    },
};

/// When all of them start.
const EPOCH: f64 = 1_000_000.0;

fn process(pid: u32, live: u64, created: u64) -> Process {
    Process {
        id: ProcessId { pid: Pid(pid), start: StartTime(1) },
        started_at: 0.0,
        watched_at: 0.0,
        exe: "/usr/bin/api".to_owned(),
        comm: "api".to_owned(),
        binary: None,
        threads: None,
        runtime: Some(Runtime {
            counts: Counts { live, created, ..Counts::default() },
            table: Some(Arc::new(GoroutineTable {
                by_reason: vec![("select".into(), 2), ("chan send".into(), 9), ("x".into(), 0)],
                ..GoroutineTable::default()
            })),
            ..Runtime::default()
        }),
        probed: None,
        sites: vec![Site { name: Some(site("main.run")), live: 7, ..Site::default() }],
        leaks: Vec::new(),
        sched: None,
        watch: Watches { runtime: Watch::Ok, probes: Watch::Off },
        origin: Origin {
            namespace: Some("shop".to_owned()),
            container: Some(String::new()),
            ..Origin::default()
        },
    }
}

fn unread(pid: u32) -> Process {
    Process { runtime: None, ..process(pid, 0, 0) }
}

fn site(created_by: &str) -> SiteName {
    SiteName {
        created_by: created_by.to_owned(),
        file: "/src/main.go".to_owned(),
        line: 52,
        start: format!("{created_by}.func1"),
    }
}

fn leak(created_by: &str, verdict: Verdict, wait_reason: &str) -> Leak {
    Leak {
        site: site(created_by),
        verdict,
        wait_reason: wait_reason.into(),
        goroutines: 138,
        per_minute: 684.0,
        stack_bytes: 2_048,
        since: EPOCH,
        confirmed_at: None,
        evidence: vec![Evidence { rule: "growth", words: "it grows".to_owned(), value: 1.0 }],
    }
}

fn leaking(leaks: &[Leak]) -> Process {
    Process { leaks: leaks.to_vec(), ..process(7, 1, 0) }
}

fn goroutines(above: u64, hold: u64) -> Rules {
    let hold = Duration::from_secs(hold);
    Rules { goroutines: Some(Goroutines { above, hold }), ..Rules::default() }
}

fn leaks(verdict: Verdict) -> Rules {
    Rules { leaks: Some(Leaks { verdict }), ..Rules::default() }
}

struct Ticks(Alerts);

impl Ticks {
    fn of(rules: Rules) -> Self {
        Self(Alerts::new(rules, "host".to_owned()))
    }

    fn at(&mut self, seconds: u64, processes: &[Process]) -> Outcome {
        let snapshot = Snapshot {
            taken_at: EPOCH + seconds as f64,
            processes: processes.to_vec(),
            ..Snapshot::default()
        };
        self.0.tick(&snapshot, Duration::from_secs(seconds))
    }

    /// Names of what fires, and of what is over.
    fn names(&mut self, seconds: u64, processes: &[Process]) -> (Vec<String>, Vec<String>) {
        let Outcome { firing, resolved, .. } = self.at(seconds, processes);
        let names = |alerts: Vec<Alert>| {
            alerts.iter().map(|alert| alert.labels["alertname"].clone()).collect()
        };
        (names(firing), names(resolved))
    }
}

fn none() -> (Vec<String>, Vec<String>) {
    (Vec::new(), Vec::new())
}

fn fires(name: &str) -> (Vec<String>, Vec<String>) {
    (vec![name.to_owned()], Vec::new())
}

fn over(name: &str) -> (Vec<String>, Vec<String>) {
    (Vec::new(), vec![name.to_owned()])
}

const HIGH: &str = "GoroscopeGoroutinesHigh";
const RATE: &str = "GoroscopeGoroutineCreationHigh";

#[test]
fn many_goroutines_for_long_enough() {
    let mut ticks = Ticks::of(goroutines(8_000, 30));
    for seconds in (0..30).step_by(5) {
        assert_eq!(ticks.names(seconds, &[process(7, 8_001, 0)]), none());
    }
    assert_eq!(ticks.names(30, &[process(7, 8_001, 0)]), fires(HIGH));
    assert_eq!(ticks.names(35, &[process(7, 9_000, 0)]), fires(HIGH));
    assert_eq!(ticks.names(40, &[process(7, 8_000, 0)]), over(HIGH));
    assert_eq!(ticks.names(45, &[process(7, 8_000, 0)]), none());
}

#[test]
fn what_is_said_of_many_goroutines() {
    let mut ticks = Ticks::of(goroutines(10, 0));
    let outcome = ticks.at(5, &[process(7, 11, 0)]);
    let [alert] = outcome.firing.as_slice() else { panic!("{outcome:?}") };
    let labels: Vec<_> = alert.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected = [
        ("alertname", HIGH),
        ("exe", "api"),
        ("instance", "host"),
        ("namespace", "shop"),
        ("pid", "7"),
        ("severity", "warning"),
    ];
    assert_eq!(labels, expected);
    assert_eq!(alert.annotations["summary"], "api (pid 7) has 11 goroutines");
    assert_eq!(
        alert.annotations["description"],
        "/usr/bin/api (pid 7) has 11 goroutines, and more than 10 for 0 s or longer. They wait for \
         chan send (9), select (2). Most were created by main.run at main.go:52 (7)."
    );
    assert!(
        alert.annotations["runbook_url"].ends_with("/docs/runbooks/GoroscopeGoroutinesHigh.md")
    );
    assert_eq!((alert.starts_at, alert.ends_at), (EPOCH + 5.0, None));
    let outcome = ticks.at(10, &[process(7, 12, 0)]);
    assert_eq!(outcome.firing[0].annotations["summary"], "api (pid 7) has 12 goroutines");
    assert_eq!(outcome.firing[0].starts_at, EPOCH + 5.0);
    let outcome = ticks.at(15, &[]);
    assert_eq!(outcome.resolved[0].ends_at, Some(EPOCH + 15.0));
}

#[test]
fn a_process_that_is_gone_has_no_alert() {
    let mut ticks = Ticks::of(goroutines(10, 0));
    assert_eq!(ticks.names(0, &[process(7, 11, 0), process(8, 5, 0)]), fires(HIGH));
    assert_eq!(ticks.names(5, &[process(8, 5, 0)]), over(HIGH));
    assert!(ticks.0.processes.len() == 1 && ticks.0.room == MAX_FIRING);
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut ticks = Ticks::of(goroutines(10, 5));
    ticks.at(0, &[process(7, 11, 0)]);
    assert_eq!(ticks.names(5, &[process(7, 11, 0)]), fires(HIGH));
    let mut second = process(7, 11, 0);
    second.id.start = StartTime(2);
    assert_eq!(ticks.names(10, &[second.clone()]), over(HIGH));
    assert_eq!(ticks.names(15, &[second]), fires(HIGH));
}

#[test]
fn a_runtime_that_is_not_read_for_a_moment_changes_nothing() {
    let mut ticks = Ticks::of(goroutines(10, 0));
    assert_eq!(ticks.names(0, &[process(7, 11, 0)]), fires(HIGH));
    let outcome = ticks.at(5, &[unread(7)]);
    assert_eq!(outcome.firing[0].annotations["summary"], "api (pid 7) has 11 goroutines");
    assert_eq!(ticks.names(10, &[process(7, 11, 0)]), fires(HIGH));
    assert_eq!(ticks.names(311, &[unread(7)]), over(HIGH));
}

#[test]
fn many_created_each_second() {
    let hold = Duration::from_secs(10);
    let created = Some(Created { per_second: 200.0, hold });
    let mut ticks = Ticks::of(Rules { created, ..Rules::default() });
    let process = |created| [process(7, 3, created)];
    // What it created before it was seen is no rate.
    assert_eq!(ticks.names(0, &process(1_000_000)), none());
    assert_eq!(ticks.names(5, &process(1_001_005)), none());
    let outcome = ticks.at(10, &process(1_002_510));
    let summary = &outcome.firing[0].annotations["summary"];
    assert_eq!(summary, "api (pid 7) creates 301 goroutines a second");
    assert_eq!(ticks.names(15, &[unread(7)]), fires(RATE));
    // Over the two intervals it is enough still.
    assert_eq!(ticks.names(20, &process(1_004_520)), fires(RATE));
    assert_eq!(ticks.names(25, &process(1_005_520)), over(RATE));
}

#[test]
fn a_burst_is_no_rate() {
    let hold = Duration::from_secs(10);
    let created = Some(Created { per_second: 200.0, hold });
    let mut ticks = Ticks::of(Rules { created, ..Rules::default() });
    let bursts = [0, 100_000, 100_000, 200_000, 200_010, 300_000];
    for (tick, created) in (0..).zip(bursts) {
        assert_eq!(ticks.names(tick * 5, &[process(7, 3, created)]), none(), "{tick}");
    }
}

#[test]
fn a_confirmed_leak_until_it_is_over() {
    const NAME: &str = "GoroscopeLeakConfirmed";
    let mut ticks = Ticks::of(leaks(Verdict::Confirmed));
    let suspected = leak("main.lookup", Verdict::Suspected, "chan send");
    assert_eq!(ticks.names(0, &[leaking(&[suspected])]), none());
    let outcome = ticks.at(5, &[leaking(&[leak("main.lookup", Verdict::Confirmed, "chan send")])]);
    let alert = &outcome.firing[0];
    for (label, value) in [
        ("alertname", NAME),
        ("created_by", "main.lookup"),
        ("location", "main.go:52"),
        ("start", "main.lookup.func1"),
        ("wait_reason", "chan send"),
        ("severity", "warning"),
    ] {
        assert_eq!(alert.labels[label], value);
    }
    assert_eq!(
        alert.annotations["description"],
        "In /usr/bin/api (pid 7), 138 goroutines that main.lookup started at main.go:52 to run \
         main.lookup.func1 are still there, 684.0 more each minute, with 2 KiB of stacks. Most of \
         them wait for: chan send. Evidence: it grows."
    );
    // Labels stay, so that it is the same alert.
    let other = leak("main.lookup", Verdict::Confirmed, "select");
    let outcome = ticks.at(10, &[leaking(&[other])]);
    assert_eq!(outcome.firing[0].labels["wait_reason"], "chan send");
    assert!(outcome.firing[0].annotations["description"].contains("wait for: select."));
    assert_eq!(ticks.names(15, &[unread(7)]), fires(NAME));
    assert_eq!(ticks.names(20, &[leaking(&[])]), over(NAME));
    assert_eq!(ticks.names(25, &[leaking(&[])]), none());
}

#[test]
fn a_suspicion_is_an_alert_of_its_own() {
    let mut ticks = Ticks::of(leaks(Verdict::Suspected));
    let of = |verdict| [leaking(&[leak("main.lookup", verdict, "select")])];
    assert_eq!(ticks.names(0, &of(Verdict::Suspected)), fires("GoroscopeLeakSuspected"));
    let (firing, resolved) = ticks.names(5, &of(Verdict::Confirmed));
    assert_eq!(firing, ["GoroscopeLeakConfirmed"]);
    assert_eq!(resolved, ["GoroscopeLeakSuspected"]);
}

#[test]
fn a_process_has_no_more_alerts_than_places() {
    let many: Vec<Leak> = (0..100)
        .map(|number| leak(&format!("main.f{number:02}"), Verdict::Confirmed, "select"))
        .collect();
    let mut ticks = Ticks::of(leaks(Verdict::Confirmed));
    let first = ticks.at(0, &[leaking(&many)]).firing;
    assert_eq!(first.len(), 32);
    // Those that have a place keep it when others have become larger.
    let turned: Vec<Leak> = many.into_iter().rev().collect();
    let outcome = ticks.at(5, &[leaking(&turned)]);
    assert_eq!((outcome.firing.len(), outcome.resolved.len()), (32, 0));
    assert_eq!(outcome.firing, first);
}

#[test]
fn no_more_fire_at_once_than_there_is_room_for() {
    let mut ticks = Ticks::of(goroutines(10, 0));
    let all: Vec<Process> = (0..2_050).map(|pid| process(pid, 11, 0)).collect();
    let outcome = ticks.at(0, &all);
    assert_eq!((outcome.firing.len(), outcome.refused), (MAX_FIRING, 2));
    let outcome = ticks.at(5, &all);
    assert_eq!((outcome.firing.len(), outcome.refused), (MAX_FIRING, 0));
    let outcome = ticks.at(10, &all[1..]);
    assert_eq!((outcome.firing.len(), outcome.resolved.len()), (MAX_FIRING, 1));
}

#[test]
fn without_rules_nothing_fires() {
    let mut ticks = Ticks::of(Rules::default());
    let one = Process { leaks: vec![leak("a", Verdict::Confirmed, "x")], ..process(7, 1 << 40, 0) };
    assert_eq!(ticks.names(0, std::slice::from_ref(&one)), none());
    assert_eq!(ticks.names(5, &[one]), none());
}
