//! A snapshot for the tests.

use goroscope_ebpf_probes::buckets::BUCKETS;

use crate::{
    discover::identity::{Pid, ProcessId, StartTime},
    model::{
        delay::DelayHistogram,
        process::{BinaryFacts, Counts, Origin, Process, Sched, Switches},
        site::{Site, SiteName},
        snapshot::{AgentHealth, Lost, Snapshot},
        watch::Watch,
    },
};

/// A site.
pub(super) fn site(created_by: &str, line: u32, live: u64) -> Site {
    let name = SiteName {
        created_by: created_by.to_owned(),
        file: "/src/api/main.go".to_owned(),
        line,
        start: format!("{created_by}.func1"),
    };
    Site { name: Some(name), live, created: live + 10, exited: 10, system: false }
}

/// A process of which everything is known.
pub(super) fn whole(pid: u32) -> Process {
    let mut buckets = [0; BUCKETS];
    buckets[0] = 5;
    buckets[41] = 2;
    buckets[42] = 7;
    buckets[80] = 1;
    buckets[BUCKETS - 1] = 3;
    Process {
        id: ProcessId { pid: Pid(pid), start: StartTime(100) },
        started_at: 1_767_225_600.25,
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
        goroutines: Some(42),
        counts: Some(Counts { created: 1000, exited: 958 }),
        sites: vec![site("main.serve", 12, 40), site("main.main", 7, 2)],
        site_losses: 4,
        sched: Some(Sched {
            delay: DelayHistogram { buckets, sum_nanoseconds: 70_500_000_000 },
            switches: Switches { voluntary: 11, preempted: 22 },
        }),
        runtime: Watch::Ok,
        probes: Watch::Ok,
        origin: Origin {
            namespace: Some("shop".to_owned()),
            pod: Some("api-0".to_owned()),
            container: Some("api".to_owned()),
            ..Origin::default()
        },
        probe_hits: 2000,
        probes_attached: 2,
    }
}

/// A process of which next to nothing is known.
pub(super) fn bare(pid: u32) -> Process {
    Process {
        exe: "/opt/bare".to_owned(),
        comm: "bare".to_owned(),
        binary: None,
        threads: None,
        goroutines: None,
        counts: None,
        sites: Vec::new(),
        site_losses: 0,
        sched: None,
        runtime: Watch::Failed("the memory cannot be read".to_owned()),
        probes: Watch::Failed("no function table".to_owned()),
        origin: Origin::default(),
        probe_hits: 0,
        probes_attached: 0,
        ..whole(pid)
    }
}

/// A snapshot of these processes.
pub(super) fn snapshot(processes: Vec<Process>) -> Snapshot {
    Snapshot {
        taken_at: 1_767_225_700.0,
        processes,
        top_sites: None,
        agent: AgentHealth {
            lost: Lost { events: 1, processes: 2, sites: 3, threads: 4 },
            seconds_per_hit: Some(0.000_001),
            cpu_seconds: 1.5,
            resident_bytes: 12_345_678,
            open_fds: 33,
            started_at: 1_767_225_500.5,
        },
    }
}
