//! A snapshot for the tests.

use std::sync::Arc;

use goroscope_ebpf_probes::buckets::BUCKETS;

use crate::{
    discover::identity::{Pid, ProcessId, StartTime},
    model::{
        alerting::{Alerting, Deliveries},
        configuration::Configuration,
        delay::DelayHistogram,
        dump::{Dump, Frame, Goroutine, Place},
        exporting::Exporting,
        leak::{Evidence, Leak, Verdict},
        naming::LookupFailures,
        probed::{Births, Drift, Probed},
        process::{BinaryFacts, Origin, Process, Sched, Switches},
        runtime::{
            Counts, Gc, GoroutineTable, Heap, HeapGoal, Runtime, Scans, State, TimeHistogram,
        },
        serving::Serving,
        site::{Site, SiteName},
        snapshot::{AgentHealth, Lost, Snapshot},
        watch::{Watch, Watches},
    },
};

/// A site.
pub(crate) fn site(created_by: &str, line: u32, live: u64) -> Site {
    let name = SiteName {
        created_by: created_by.to_owned(),
        file: "/src/api/main.go".to_owned(),
        line,
        start: format!("{created_by}.func1"),
    };
    Site { name: Some(name), live, created: live + 10, exited: 10, ..Site::default() }
}

/// A site that leaks.
fn leak() -> Leak {
    Leak {
        site: site("main.serve", 12, 40).name.unwrap_or_default(),
        verdict: Verdict::Confirmed,
        wait_reason: "chan receive".into(),
        goroutines: 38,
        per_minute: 300.0,
        stack_bytes: 77_824,
        since: 1_767_225_640.0,
        confirmed_at: Some(1_767_225_670.0),
        evidence: vec![Evidence {
            rule: "growth",
            words: "38 goroutines more in 60 s, and never fewer".to_owned(),
            value: 38.0,
        }],
    }
}

/// What a runtime says of itself.
fn runtime() -> Runtime {
    // One bucket below each of these bounds, and one beyond.
    let durations = |counts: [u64; 4]| TimeHistogram {
        counts: counts.to_vec(),
        bounds: vec![0, 1 << 10, 1 << 20],
    };
    let table = GoroutineTable {
        taken_at: 1_767_225_699.5,
        cpu_seconds: 0.25,
        by_state: vec![(State::Running, 2), (State::Waiting, 40)],
        by_reason: vec![("chan receive".into(), 38), ("select".into(), 2)],
        user: 42,
        system: 6,
    };
    Runtime {
        counts: Counts {
            live: 42,
            created: 1000,
            exited: 952,
            threads: 9,
            gomaxprocs: 4,
            settled: true,
        },
        sched_delay: Some(durations([0, 6, 2, 1])),
        gc: Some(Gc {
            cycles: 12,
            pause_total_nanoseconds: 3_000_000,
            pauses: durations([0, 20, 4, 0]),
            ..Gc::default()
        }),
        heap_goal: Some(HeapGoal {
            live_bytes: 4_000_000,
            goal_bytes: 8_000_000,
            mapped_bytes: 12_000_000,
            memory_limit: Some(64_000_000),
            percent: Some(100),
        }),
        heap: Some(Heap {
            objects: 1234,
            allocated_bytes: 99_000_000,
            allocated_objects: 5678,
            stack_bytes: 262_144,
            ..Heap::default()
        }),
        table: Some(Arc::new(table)),
        scans: Scans { done: 7, failed: 1, torn: 3, unreadable: 2 },
    }
}

/// A process of which everything is known.
pub(crate) fn whole(pid: u32) -> Process {
    let mut buckets = [0; BUCKETS];
    buckets[0] = 5;
    buckets[41] = 2;
    buckets[42] = 7;
    buckets[80] = 1;
    buckets[BUCKETS - 1] = 3;
    Process {
        id: ProcessId { pid: Pid(pid), start: StartTime(100) },
        started_at: 1_767_225_600.25,
        watched_at: 1_767_225_610.0,
        exe: "/usr/local/bin/api".to_owned(),
        comm: "api".to_owned(),
        binary: Some(BinaryFacts {
            go_version: "go1.26.6".to_owned(),
            module: Some("example.org/api".to_owned()),
            build_id: Some("abc/def".to_owned()),
            arch: "amd64".to_owned(),
            ..BinaryFacts::default()
        }),
        threads: Some(9),
        runtime: Some(runtime()),
        probed: Some(Probed {
            births: Births { created: 1010, exited: 990 },
            site_losses: 4,
            attached: 2,
            gaps: 1,
            gap_seconds: 2.5,
            drift: Some(Drift { created: 0, exited: -3 }),
        }),
        sites: vec![site("main.serve", 12, 40), site("main.main", 7, 2)],
        leaks: vec![leak()],
        sched: Some(Sched {
            delay: DelayHistogram { buckets, sum_nanoseconds: 70_500_000_000 },
            switches: Switches { voluntary: 11, preempted: 22 },
        }),
        watch: Watches { runtime: Watch::Ok, probes: Watch::Ok },
        origin: Origin {
            namespace: Some("shop".to_owned()),
            pod: Some("api-0".to_owned()),
            container: Some("api".to_owned()),
            ..Origin::default()
        },
    }
}

/// A process of which next to nothing is known.
pub(crate) fn bare(pid: u32) -> Process {
    Process {
        exe: "/opt/bare".to_owned(),
        comm: "bare".to_owned(),
        binary: None,
        threads: None,
        runtime: None,
        probed: None,
        sites: Vec::new(),
        leaks: Vec::new(),
        sched: None,
        watch: Watches {
            runtime: Watch::Failed("the memory cannot be read".to_owned()),
            probes: Watch::Failed("no function table".to_owned()),
        },
        origin: Origin::default(),
        ..whole(pid)
    }
}

/// A snapshot of these processes.
pub(crate) fn snapshot(processes: Vec<Process>) -> Snapshot {
    Snapshot {
        taken_at: 1_767_225_700.0,
        processes,
        top_sites: None,
        alerting: Some(Alerting {
            firing: 2,
            dropped: 1,
            alertmanagers: vec![Deliveries {
                url: "http://127.0.0.1:9093".into(),
                delivered: 5,
                failed: 3,
                rejected: 1,
            }],
        }),
        exporting: Some(Exporting {
            delivered: 6,
            partial: 1,
            failed: 2,
            rejected: 3,
            retries: 4,
            refused_points: 5,
        }),
        configuration: Some(Configuration { successful: true, taken_at: 1_767_225_500.75 }),
        serving: Some(Serving {
            web_config_is_in_force: Some(true),
            certificate_ends: Some(1_800_000_000),
            refused: vec![("login", 3)],
        }),
        agent: AgentHealth {
            lost: Lost { events: 1, processes: 2, sites: 3, threads: 4 },
            seconds_per_hit: Some(0.000_001),
            cpu_seconds: 1.5,
            resident_bytes: 12_345_678,
            open_fds: 33,
            started_at: 1_767_225_500.5,
            lookup_failures: LookupFailures { cri: 1, kubelet: 2, docker: 3, podman: 4 },
        },
    }
}

/// A dump: three goroutines that wait at one place, and one that ran meanwhile.
pub(crate) fn dump(pid: u32) -> Dump {
    let place = |function: &str, file: &str, line| Place {
        function: function.into(),
        file: file.into(),
        line,
    };
    let start = place("main.serve.func1", "/src/api/main.go", 14);
    let frame = |place| Frame { place, ..Frame::default() };
    let waiting = Goroutine {
        goid: 1,
        state: "waiting".into(),
        wait_reason: Some("chan receive".into()),
        wait_seconds: Some(60.0),
        created_by: Some(place("main.serve", "/src/api/main.go", 12)),
        start: Some(start.clone()),
        stack: [frame(place("runtime.gopark", "/go/proc.go", 9)), frame(start)].into(),
        count: 1,
        ..Goroutine::default()
    };
    let running = Goroutine {
        goid: 4,
        state: "running".into(),
        torn: true,
        count: 1,
        ..Goroutine::default()
    };
    let later = Goroutine { goid: 2, wait_seconds: Some(90.0), ..waiting.clone() };
    let unknown = Goroutine { goid: 3, wait_seconds: None, ..waiting.clone() };
    Dump {
        unsampled: None,
        pid,
        go_version: "go1.26.6".to_owned(),
        taken_at: Some(1_767_225_700.0),
        goroutines: vec![waiting, later, unknown, running],
    }
}
