//! Births and deaths counted by the probes equal what the program itself knows, and what its runtime
//! counts, to the last goroutine: each way of starting and ending goroutines × Go release × way of
//! building.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use goroscope_tests::{
    agent::{Agent, Shared},
    fixture::{self, Mode},
    poll, requires,
    sites::{Site, Sum},
    skip,
    speaker::Speaker,
    table::Table,
    toolchain::{Go, NEWEST, VERSIONS},
};
use libtest_mimic::{Arguments, Failed, Trial};

/// Name, first Go release (1.x) that has it.
const WORKLOADS: [(&str, u32); 10] = [
    ("churn", 21),
    ("depth", 21),
    ("pull", 23),
    ("gc", 21),
    ("goexit", 21),
    ("panics", 21),
    ("rate", 21),
    ("locked", 21),
    ("timers", 21),
    ("cgo", 21),
];

/// Some of them cost more than the probes' budget.
const ALWAYS: [&str; 2] = ["--probes", "always"];

/// One cell of the matrix.
#[derive(Clone, Copy)]
struct Cell {
    workload: &'static str,
    version: &'static str,
    mode: Mode,
}

impl Cell {
    fn row(self) -> String {
        format!("{} {}", self.workload, self.mode)
    }
}

/// What all trials share.
struct Common {
    agent: Shared,
    table: Table,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let rows = WORKLOADS.iter().flat_map(|(workload, _)| {
        Mode::USUAL.map(|mode| Cell { workload, version: NEWEST, mode }.row())
    });
    let table = Table::new("exactly once", rows.collect(), &VERSIONS);
    let common = Arc::new(Common { agent: Shared::new(&ALWAYS), table });
    let mut trials = Vec::new();
    // Release by release, so that neighbours differ in their binary.
    for version in VERSIONS {
        for (workload, since) in WORKLOADS {
            for mode in Mode::USUAL {
                let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
                if minor.is_some_and(|minor: u32| minor < since) {
                    continue;
                }
                let cell = Cell { workload, version, mode };
                let name = format!("{workload}::go{version}::{mode}");
                let common = Arc::clone(&common);
                trials.push(Trial::test(name.clone(), move || test(cell, &name, &common)));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    common.table.show();
    // What is left of the trials holds the agent; it ends with the last of them.
    drop(common);
    conclusion.exit_code()
}

fn test(cell: Cell, name: &str, common: &Common) -> Result<(), Failed> {
    let needs = requires::kernel()
        .and_then(|()| requires::go(cell.version))
        .and_then(|()| if cell.workload == "cgo" { requires::c_compiler() } else { Ok(()) });
    let note = |outcome| common.table.note(&cell.row(), cell.version, outcome);
    if let Err(reason) = needs {
        skip::note(name, &reason);
        note("skip");
        return Ok(());
    }
    let result = common.agent.agent().and_then(|agent| count(cell, &agent));
    note(if result.is_ok() { "ok" } else { "FAIL" });
    result.map_err(|error| format!("{error:#}").into())
}

/// What the agent says of a process.
struct Seen {
    /// By the runtime's own records, since the process started.
    runtime: Sum,
    /// By the probes, since they were attached.
    sites: Vec<Site>,
    /// How far the two are apart: births, deaths.
    drift: [f64; 2],
    lost: u64,
}

impl Seen {
    fn of(agent: &Agent, pid: u32) -> Result<Self> {
        let scrape = agent.scrape()?;
        let text = pid.to_string();
        let labels = [("pid", text.as_str())];
        let drift = |event| {
            let labels = [("pid", text.as_str()), ("event", event)];
            scrape.value("goroscope_count_drift_goroutines", &labels)
        };
        Ok(Self {
            runtime: Sum {
                created: scrape.count("goroscope_goroutines_created_total", &labels)?,
                exited: scrape.count("goroscope_goroutines_exited_total", &labels)?,
            },
            sites: agent.sites(pid)?,
            drift: [drift("created")?, drift("exited")?],
            lost: scrape.count("goroscope_site_events_lost_total", &labels)?
                + scrape
                    .series("goroscope_events_lost_total", &[])
                    .filter_map(|sample| sample.count())
                    .sum::<u64>(),
        })
    }

    fn users(&self) -> Sum {
        Sum::of(&self.sites, |site| !site.system)
    }

    fn all(&self) -> Sum {
        Sum::of(&self.sites, |_| true)
    }

    /// The program's goroutines, at the last look at all of them.
    fn live(&self) -> u64 {
        self.sites.iter().filter(|site| !site.system).map(|site| site.live).sum()
    }
}

fn count(cell: Cell, agent: &Agent) -> Result<()> {
    let go = Go::find(cell.version)?;
    let (program, mut arguments) = match cell.workload {
        "cgo" => ("cgo", vec![]),
        workload => ("workloads", vec![workload]),
    };
    if cell.workload == "rate" {
        arguments.push("10");
    }
    let path = fixture::build(program, &go, cell.mode)?;
    let mut target = Speaker::start(&path, &arguments)?;
    let pid = target.pid();
    agent.wait_read(pid)?;
    let known = agent.wait_probed(pid)?;
    let version = known.go_version.unwrap_or_default();
    ensure!(version == go.to_string(), "the agent takes {go} for {version:?}");

    let before = Seen::of(agent, pid)?;
    let report = target.work()?;
    let expected = Sum { created: report.created, exited: report.exited };
    // The look at all goroutines may be a moment old, and with it what is known of the threads of C
    // in a program without symbols: until the next one they are among the runtime's counts.
    let mut last = None;
    let settled = poll::until("the counts settle", Duration::from_secs(5), || {
        let seen = Seen::of(agent, pid)?;
        let equal = seen.users().since(before.users()) == expected
            && seen.runtime.since(before.runtime) == seen.all().since(before.all())
            && seen.live() == report.num_goroutine;
        last = Some(seen);
        Ok(equal.then_some(()))
    });
    // Once more: a count that passes through the right number is not right.
    let after = Seen::of(agent, pid).or_else(|error| last.ok_or(error))?;
    let users = after.users().since(before.users());
    ensure!(
        users == expected,
        "the program says {expected:?}, the probes {users:?}; {:#?}",
        grown(&before, &after)
    );
    let live = after.live();
    ensure!(live == report.num_goroutine, "{live} live, not {}", report.num_goroutine);
    let runtime = after.runtime.since(before.runtime);
    let all = after.all().since(before.all());
    ensure!(runtime == all, "the runtime counted {runtime:?}, the probes {all:?} in all sites");
    settled?;
    ensure!(after.drift == [0.0; 2], "the probes drift off: {:?}", after.drift);
    if let (Some(first), Some(last)) = (report.runtime_created_before, report.runtime_created_after)
    {
        let own = last - first;
        ensure!(all.created == own, "the runtime created {own}, the probes saw {all:?}");
        let served = after.runtime.created;
        ensure!(served == last, "the runtime created {last} since it started, served is {served}");
    }
    ensure!(after.lost == before.lost, "{} events were lost", after.lost - before.lost);
    target.quit()?;
    Ok(())
}

/// Sites that counted something, for a failure's message.
fn grown(before: &Seen, after: &Seen) -> Vec<String> {
    let old = |site: &Site| before.sites.iter().find(|other| other.same_place(site)).cloned();
    after
        .sites
        .iter()
        .map(|site| {
            let (created, exited) = old(site).map_or((0, 0), |old| (old.created, old.exited));
            format!(
                "{} {} → {}: +{} -{}{}",
                site.created_by(),
                site.location(),
                site.start(),
                site.created.saturating_sub(created),
                site.exited.saturating_sub(exited),
                if site.system { " (system)" } else { "" }
            )
        })
        .collect()
}
