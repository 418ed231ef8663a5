//! Snapshots for tests.

use std::sync::Arc;

use crate::{
    discover::identity::{Pid, ProcessId, StartTime},
    model::{
        leak::{Evidence, Leak, Verdict},
        probed::{Births, Probed},
        process::{BinaryFacts, Origin, Process, Sched},
        runtime::{Counts, GoroutineTable, Runtime, TimeHistogram},
        site::{Held, Site, SiteName},
        snapshot::Snapshot,
        watch::{Watch, Watches},
    },
};

/// A process with so many goroutines.
pub(crate) fn process(pid: u32, live: u64) -> Process {
    Process {
        id: ProcessId { pid: Pid(pid), start: StartTime(1) },
        started_at: 1_767_225_600.0,
        watched_at: 1_767_225_700.0,
        exe: format!("/srv/shop/app{pid}"),
        comm: format!("app{pid}"),
        binary: Some(BinaryFacts {
            go_version: "go1.27.3".to_owned(),
            arch: "amd64".to_owned(),
            ..BinaryFacts::default()
        }),
        threads: Some(9),
        runtime: Some(Runtime {
            counts: Counts { live, created: 1000, exited: 990, ..Counts::default() },
            sched_delay: Some(TimeHistogram {
                counts: vec![0, 100, 0, 0],
                bounds: vec![0, 1_000, 1_000_000],
            }),
            ..Runtime::default()
        }),
        probed: Some(Probed {
            births: Births { created: 500, exited: 490 },
            attached: 2,
            ..Probed::default()
        }),
        sites: vec![site("main.serve", live)],
        leaks: Vec::new(),
        sched: Some(Sched::default()),
        watch: Watches { runtime: Watch::Ok, probes: Watch::Ok },
        origin: Origin { unit: Some("shop.service".to_owned()), ..Origin::default() },
    }
}

/// A site with so many goroutines.
pub(crate) fn site(created_by: &str, live: u64) -> Site {
    Site {
        name: Some(SiteName {
            created_by: created_by.to_owned(),
            file: "/src/main.go".to_owned(),
            line: 52,
            start: format!("{created_by}.func1"),
        }),
        live,
        created: live,
        exited: 0,
        system: false,
        held: Held {
            doing: vec![("chan send".into(), live)],
            stack_bytes: 2048 * live,
            longest_wait_nanoseconds: Some(90_000_000_000),
            growth_per_minute: None,
        },
    }
}

/// Says that a site leaks.
pub(crate) fn leak(site: &Site, verdict: Verdict) -> Leak {
    Leak {
        site: site.name.clone().unwrap_or_default(),
        verdict,
        wait_reason: "chan send".into(),
        goroutines: site.live,
        per_minute: 671.0,
        stack_bytes: 2048 * site.live,
        since: 1_767_225_600.0,
        confirmed_at: (verdict == Verdict::Confirmed).then_some(1_767_225_635.0),
        evidence: vec![Evidence {
            rule: "growth",
            words: "387 goroutines more in 35 s, without a break".to_owned(),
            value: 387.0,
        }],
    }
}

/// The goroutines of the process were looked at then.
pub(crate) fn look(process: &mut Process, taken_at: f64) {
    if let Some(runtime) = &mut process.runtime {
        runtime.table = Some(Arc::new(GoroutineTable { taken_at, ..GoroutineTable::default() }));
    }
}

/// All of them at one moment.
pub(crate) fn snapshot(taken_at: f64, processes: Vec<Process>) -> Arc<Snapshot> {
    Arc::new(Snapshot { taken_at, processes, ..Snapshot::default() })
}
