//! Servers that were built and stripped by Debian, with a Go release of its choice: what the agent
//! says of them is what they say of themselves, while they work.
//!
//! They move. So each comparison is between what the server itself says before and after the agent
//! is asked: the agent's figure must lie in between. What may be off is said at each place.

use std::{process::ExitCode, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    figures::{Figures, Tally},
    go_dump, poll, proc,
    prometheus::Scrape,
    requires,
    server::{Kind, PROCESSORS, Server},
    skip, workspace,
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Comparisons in each test.
const ROUNDS: usize = 6;
/// The agent looks at a process as often as this, and a bit: what it says is no older.
const LOOK: Duration = Duration::from_millis(1300);
/// Goroutines that come and go between two looks: of connections that are just being closed, and of
/// what the server does now and then.
const PASSING: u64 = 3;
/// Goroutines that serve a scrape of the server's own metrics, and are counted in it.
const SERVING: u64 = 10;

type Test = fn(&Watched) -> Result<()>;

const TESTS: [(&str, Test); 6] = [
    ("goroutines", goroutines),
    ("states_and_sites", states_and_sites),
    ("memory", memory),
    ("threads", threads),
    ("steady", steady),
    ("ps", ps),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        for (name, test) in TESTS {
            let name = format!("{kind}::{name}");
            trials.push(Trial::test(name.clone(), move || run(&name, kind, test)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(name: &str, kind: Kind, test: Test) -> Result<(), Failed> {
    let package = || kind.program().map(drop).map_err(|error| format!("{error:#}"));
    if let Err(reason) = requires::kernel().and_then(|()| package()) {
        skip::note(name, &reason);
        return Ok(());
    }
    let result = Watched::start(kind).and_then(|watched| {
        test(&watched)
            .with_context(|| format!("the agent's log:\n{}", watched.agent.log().join("\n")))
    });
    result.map_err(|error| format!("{error:#}").into())
}

/// A server, and an agent that watches it.
struct Watched {
    server: Server,
    agent: Agent,
}

impl Watched {
    fn start(kind: Kind) -> Result<Self> {
        let server = Server::start(kind)?;
        // Both ways of selecting it.
        let selection = match kind {
            Kind::Etcd | Kind::Prometheus => ["--exe".to_owned(), server.glob()],
            Kind::Caddy => ["--pid".to_owned(), server.pid().to_string()],
        };
        let [option, value] = &selection;
        let agent = Agent::start(&[option, value, "--top-sites", "1000"])?;
        let known = agent.wait_read(server.pid())?;
        let own = server.metrics()?;
        let info = own.series("go_info", &[]).next().context("the server has no go_info")?;
        ensure!(
            known.go_version.as_deref() == Some(info.label("version")),
            "the agent takes {info:?} for {known:?}"
        );
        // The server comes to rest after its start.
        thread::sleep(LOOK);
        Ok(Self { server, agent })
    }

    /// The agent's figures, not older than this call.
    fn figures(&self) -> Result<Figures> {
        Figures::of(&self.scrape()?, self.server.pid())
    }

    /// The agent's metrics, not older than this call.
    fn scrape(&self) -> Result<Scrape> {
        thread::sleep(LOOK);
        let known = self.agent.process(self.server.pid())?.context("it is no longer watched")?;
        ensure!(known.watch.runtime == "ok", "its runtime is no longer read: {known:?}");
        self.agent.scrape()
    }

    fn count(&self, scrape: &Scrape, name: &str) -> Result<u64> {
        scrape.count(name, &[("pid", &self.server.pid().to_string())])
    }
}

fn between(what: &str, one: u64, agents: u64, other: u64, allowance: u64) -> Result<()> {
    let (low, high) = (one.min(other), one.max(other));
    ensure!(
        (low.saturating_sub(allowance)..=high + allowance).contains(&agents),
        "{what}: {agents} by the agent; the server says {one} before and {other} after, \
         and {allowance} may be off"
    );
    Ok(())
}

/// Whether each number lies between those of the same name, but for so much.
fn all_between(what: &str, one: &Tally, agents: &Tally, other: &Tally, off: u64) -> Result<()> {
    let count = |tally: &Tally, name: &str| tally.get(name).copied().unwrap_or(0);
    for name in one.keys().chain(agents.keys()).chain(other.keys()) {
        let [one, agents, other] = [one, agents, other].map(|tally| count(tally, name));
        between(&format!("{what} {name:?}"), one, agents, other, off)?;
    }
    Ok(())
}

/// As many as in the server's own dump, and in its own metrics.
fn goroutines(watched: &Watched) -> Result<()> {
    let mut exact = 0;
    for _ in 0..ROUNDS {
        watched.server.work()?;
        let before = watched.server.goroutines()?.len();
        let agents = watched.figures()?.goroutines;
        let after = watched.server.goroutines()?.len();
        let own = watched.server.metrics()?.count("go_goroutines", &[])?;
        let (before, after) = (u64::try_from(before)?, u64::try_from(after)?);
        between("goroutines", before, agents, after, PASSING)?;
        between("go_goroutines", own, agents, own.saturating_sub(SERVING), PASSING)?;
        exact += usize::from(before == after && agents == before);
    }
    ensure!(exact >= ROUNDS / 2, "{exact} of {ROUNDS} comparisons were exact");
    Ok(())
}

/// In the states, and from the `go` statements, that the server's own dump shows.
fn states_and_sites(watched: &Watched) -> Result<()> {
    let mut exact = 0;
    for _ in 0..ROUNDS {
        let before = watched.server.goroutines()?;
        let figures = watched.figures()?;
        let after = watched.server.goroutines()?;
        let states = [&before, &after].map(|dump| go_dump::states(dump));
        let sites = [&before, &after].map(|dump| go_dump::sites(dump));
        all_between("state", &states[0], &figures.states, &states[1], PASSING)?;
        all_between("site", &sites[0], &figures.sites, &sites[1], PASSING)?;
        exact += usize::from(states[0] == figures.states && sites[0] == figures.sites);
    }
    ensure!(exact >= ROUNDS / 2, "{exact} of {ROUNDS} comparisons were exact");
    let scrape = watched.agent.scrape()?;
    let pid = watched.server.pid().to_string();
    for site in scrape.series("goroscope_site_goroutines", &[("pid", &pid)]) {
        for label in ["created_by", "location", "start"] {
            let name = site.label(label);
            ensure!(!name.is_empty() && !name.starts_with("0x"), "a site without a name: {site:?}");
        }
    }
    Ok(())
}

/// The collector's and the allocator's figures are those of `runtime.MemStats`.
fn memory(watched: &Watched) -> Result<()> {
    // Stacks are handed out in pieces of 32 KiB; a request takes one or two, and gives them back at
    // the next collection.
    const STACKS: u64 = 128 << 10;
    let mut quiet = 0;
    for _ in 0..ROUNDS {
        watched.server.work()?;
        let before = watched.server.metrics()?;
        let scrape = watched.scrape()?;
        let after = watched.server.metrics()?;
        let own = |name: &str| -> Result<(u64, u64)> {
            Ok((before.count(name, &[])?, after.count(name, &[])?))
        };
        let agents = |name: &str| watched.count(&scrape, name);
        let cycles = own("go_gc_duration_seconds_count")?;
        between("cycles", cycles.0, agents("goroscope_gc_cycles_total")?, cycles.1, 0)?;
        let allocated = own("go_memstats_alloc_bytes_total")?;
        let told = agents("goroscope_heap_allocated_bytes_total")?;
        between("allocated bytes", allocated.0, told, allocated.1, 0)?;
        // Two pauses in a cycle.
        let pauses = agents("goroscope_gc_pause_seconds_count")?;
        between("pauses", 2 * cycles.0, pauses, 2 * cycles.1, 0)?;
        let live = agents("goroscope_heap_live_bytes")?;
        let goal = agents("goroscope_heap_goal_bytes")?;
        ensure!(0 < live && live <= goal, "{live} bytes alive, the goal is {goal}");
        if cycles.0 != cycles.1 {
            continue;
        }
        // Without a collection the goal stays, and what is on the heap can only grow; but what the
        // last collection found dead may be given back late.
        quiet += 1;
        let goals = own("go_memstats_next_gc_bytes")?;
        between("goal", goals.0, goal, goals.1, 0)?;
        let objects = own("go_memstats_heap_objects")?;
        let told = agents("goroscope_heap_objects")?;
        between("objects", objects.0, told, objects.1, objects.0 / 100)?;
        let stacks = own("go_memstats_stack_inuse_bytes")?;
        between("stacks", stacks.0, agents("goroscope_stack_bytes")?, stacks.1, STACKS)?;
    }
    ensure!(quiet > 0, "there was a collection in each of {ROUNDS} rounds");
    Ok(())
}

/// Threads are the kernel's, and as many as the server says; its processors are those it was given.
fn threads(watched: &Watched) -> Result<()> {
    for _ in 0..3 {
        let own = |scrape: &Scrape| scrape.count("go_threads", &[]);
        let before = (own(&watched.server.metrics()?)?, proc::threads(watched.server.pid())?.len());
        let scrape = watched.scrape()?;
        let after = (own(&watched.server.metrics()?)?, proc::threads(watched.server.pid())?.len());
        let agents = watched.count(&scrape, "goroscope_threads")?;
        between("threads", u64::try_from(before.1)?, agents, u64::try_from(after.1)?, 0)?;
        // Those with C in them keep a thread ready for calls from there: a record without a thread.
        between("go_threads", before.0 - 1, agents, after.0, 0)?;
        let processors = watched.count(&scrape, "goroscope_gomaxprocs")?;
        ensure!(processors == PROCESSORS, "GOMAXPROCS is {PROCESSORS}, not {processors}");
    }
    Ok(())
}

/// While it works: counters do not go back, nothing jumps, and the probes count what the runtime
/// counts.
fn steady(watched: &Watched) -> Result<()> {
    const COUNTERS: [&str; 5] = [
        "goroscope_goroutines_created_total",
        "goroscope_goroutines_exited_total",
        "goroscope_gc_cycles_total",
        "goroscope_heap_allocated_bytes_total",
        "goroscope_goroutine_sched_delay_seconds_count",
    ];
    let counters = |scrape: &Scrape| -> Result<Vec<u64>> {
        COUNTERS.iter().map(|name| watched.count(scrape, name)).collect()
    };
    let rest = watched.figures()?.goroutines;
    let start = watched.agent.scrape()?;
    let first = counters(&start)?;
    let mut last = first.clone();
    for round in 0..40 {
        for _ in 0..5 {
            watched.server.work()?;
        }
        let scrape = watched.agent.scrape()?;
        let now = counters(&scrape)?;
        for (name, (before, now)) in COUNTERS.iter().zip(last.iter().zip(&now)) {
            ensure!(before <= now, "round {round}: {name} falls from {before} to {now}");
        }
        let figures = Figures::of(&scrape, watched.server.pid())?;
        between("goroutines", rest, figures.goroutines, rest, 2 * SERVING)?;
        ensure!(
            figures.created - figures.exited >= figures.goroutines,
            "fewer are left than live, without the runtime's own: {figures:?}"
        );
        // The states are of another moment than the count.
        between("in states", figures.goroutines, figures.in_states(), rest, 2 * SERVING)?;
        last = now;
        thread::sleep(Duration::from_millis(100));
    }
    for (name, (first, last)) in COUNTERS.iter().zip(first.iter().zip(&last)).take(1) {
        ensure!(first < last, "{name} stays at {first} while the server works");
    }
    // Births and deaths by the runtime and by the probes; read one after the other, so that one that
    // happens just then is in one of them only.
    let events = |scrape: &Scrape| -> Result<(u64, u64)> {
        let [created, exited] = [COUNTERS[0], COUNTERS[1]].map(|name| watched.count(scrape, name));
        Ok((created? + exited?, watched.count(scrape, "goroscope_probe_hits_total")?))
    };
    let pid = watched.server.pid().to_string();
    let drift = |scrape: &Scrape, event: &str| {
        scrape.value("goroscope_count_drift_goroutines", &[("pid", &pid), ("event", event)])
    };
    let (before, mut now) = (events(&start)?, (0, 0));
    let mut drifts = (0.0, 0.0);
    poll::until("the probes have counted what the runtime has", LOOK * 5, || {
        let scrape = watched.scrape()?;
        now = events(&scrape)?;
        drifts = (drift(&scrape, "created")?, drift(&scrape, "exited")?);
        let equal = now.0 - before.0 == now.1 - before.1 && drifts == (0.0, 0.0);
        Ok(equal.then_some(()))
    })
    .with_context(|| {
        format!("(runtime, probes) before {before:?}, now {now:?}; by the agent {drifts:?} off")
    })
}

/// `goroscope ps` has its goroutines too.
fn ps(watched: &Watched) -> Result<()> {
    let before = u64::try_from(watched.server.goroutines()?.len())?;
    let pid = watched.server.pid();
    let output = std::process::Command::new(workspace::goroscope()?)
        .args(["ps", "--output", "json", "--pid", &pid.to_string()])
        .output()?;
    let after = u64::try_from(watched.server.goroutines()?.len())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout)?;
    let field = |path: &str| listed.pointer(path).cloned().unwrap_or_default();
    ensure!(field("/0/watch/runtime") == "ok" && field("/0/stripped") == true, "{listed}");
    let agents = field("/0/goroutines").as_u64().with_context(|| format!("{listed}"))?;
    between("goroutines", before, agents, after, PASSING)?;
    let created = field("/0/created_total").as_u64().with_context(|| format!("{listed}"))?;
    ensure!(created >= agents, "{created} were created and {agents} live");
    Ok(())
}
