//! At rest, what the agent serves of a program's runtime equals what the program says of itself:
//! each release of Go × each way of building that lays the program out in another way.

use std::{
    collections::BTreeMap,
    fmt::Display,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{
    agent::{self, Agent, PATIENCE, Shared},
    fixture::{self, Mode},
    poll, proc,
    prometheus::{Sample, Scrape},
    requires,
    rest::{Histogram, Report, Rest},
    skip,
    table::Table,
    toolchain::{Go, WITH_DEBIAN},
};
use libtest_mimic::{Arguments, Failed, Trial};

/// The program tells when something in it moved after all; so often it may try again.
const ATTEMPTS: usize = 40;
/// How long the program's threads may take to go to sleep.
const DOZE: Duration = Duration::from_millis(30);

/// What all trials share.
struct Common {
    agent: Shared,
    table: Table,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let rows = Mode::LAID_OUT.map(|mode| mode.to_string()).to_vec();
    let table = Table::new("at rest", rows, &WITH_DEBIAN);
    let common = Arc::new(Common { agent: Shared::new(&[]), table });
    let mut trials = Vec::new();
    for version in WITH_DEBIAN {
        for mode in Mode::LAID_OUT {
            let name = format!("equality::go{version}::{mode}");
            let common = Arc::clone(&common);
            trials.push(Trial::test(name.clone(), move || test(&name, version, mode, &common)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    common.table.show();
    // What is left of the trials holds the agent; it ends with the last of them.
    drop(common);
    conclusion.exit_code()
}

fn test(name: &str, version: &'static str, mode: Mode, common: &Common) -> Result<(), Failed> {
    let needs = requires::kernel()
        .and_then(|()| requires::go(version))
        .and_then(|()| if mode.cgo() { requires::c_compiler() } else { Ok(()) });
    let note = |outcome| common.table.note(&mode.to_string(), version, outcome);
    if let Err(reason) = needs {
        skip::note(name, &reason);
        note("skip");
        return Ok(());
    }
    let result = common.agent.agent().and_then(|agent| check(&agent, &Go::find(version)?, mode));
    note(if result.is_ok() { "equal" } else { "DIFFERENT" });
    result.map_err(|error| format!("{error:#}").into())
}

fn check(agent: &Agent, go: &Go, mode: Mode) -> Result<()> {
    let mut program = Rest::start(&fixture::build("rest", go, mode)?, &[])?;
    agent.wait_probed(program.pid())?;
    agent.wait_read(program.pid())?;
    // Twice, for what there was in between.
    let first = at_rest(agent, &mut program)?;
    first.compare(None)?;
    at_rest(agent, &mut program)?.compare(Some(&first))
}

/// One moment of a program at rest: what it says of itself, and what is served of it.
struct Moment {
    pid: String,
    report: Report,
    scrape: Scrape,
    /// `/api/v1/processes`, then `goroscope ps`.
    listed: [agent::Process; 2],
    /// OS threads, by the kernel.
    threads: usize,
}

/// Lets the program come to rest and looks at it.
fn at_rest(agent: &Agent, program: &mut Rest) -> Result<Moment> {
    let pid = program.pid();
    let label = pid.to_string();
    let mut moved = Vec::new();
    for _ in 0..ATTEMPTS {
        program.freeze()?;
        let since = (SystemTime::now() + DOZE).duration_since(UNIX_EPOCH)?.as_secs_f64();
        let scrape = poll::until("its goroutines are looked at", PATIENCE, || {
            let scrape = agent.scrape()?;
            let at = scrape.value("goroscope_scan_timestamp_seconds", &[("pid", &label)])?;
            Ok((at > since).then_some(scrape))
        })?;
        let known = agent.process(pid)?.context("the agent does not list it")?;
        let by_ps = agent::ps(&["--pid", &label])?.pop().context("ps does not list it")?;
        let threads = proc::threads(pid)?.len();
        let report = program.report()?;
        if report.moved.is_empty() {
            return Ok(Moment { pid: label, report, scrape, listed: [known, by_ps], threads });
        }
        moved = report.moved;
    }
    bail!("it does not come to rest: {moved:?}");
}

/// Comparisons that did not come out equal.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + Display>(&mut self, what: &str, told: T, served: T) {
        if told != served {
            self.0.push(format!("{what}: the program says {told}, served is {served}"));
        }
    }
}

impl Moment {
    /// `before` is an earlier moment of the same program.
    fn compare(&self, before: Option<&Self>) -> Result<()> {
        let mut differences = Differences::default();
        self.goroutines(before, &mut differences)?;
        self.groups(&mut differences)?;
        self.memory(&mut differences)?;
        for process in &self.listed {
            let ok = &process.watch.runtime;
            differences.compare("watch.runtime", "ok", ok);
            let (live, created) = (process.goroutines, process.created_total);
            differences.compare("goroutines in JSON", self.report.num_goroutine, known(live)?);
            let expected = self.served("goroscope_goroutines_created_total")?;
            differences.compare("created_total in JSON", expected, known(created)?);
        }
        let differences = differences.0;
        ensure!(differences.is_empty(), "not equal:\n  {}", differences.join("\n  "));
        Ok(())
    }

    fn served(&self, name: &str) -> Result<u64> {
        self.scrape.count(name, &[("pid", &self.pid)])
    }

    /// Compares with one of the runtime's metrics, where the release has it; served it must be.
    fn metric(&self, name: &str, metric: &str, differences: &mut Differences) -> Result<()> {
        let served = self.served(name)?;
        if let Some(told) = self.report.metrics.get(metric) {
            differences.compare(name, *told, served);
        }
        Ok(())
    }

    fn goroutines(&self, before: Option<&Self>, differences: &mut Differences) -> Result<()> {
        let report = &self.report;
        let live = self.served("goroscope_goroutines")?;
        differences.compare("NumGoroutine", report.num_goroutine, live);
        let created = self.served("goroscope_goroutines_created_total")?;
        let exited = self.served("goroscope_goroutines_exited_total")?;
        self.metric(
            "goroscope_goroutines_created_total",
            "/sched/goroutines-created:goroutines",
            differences,
        )?;
        // The runtime's own goroutines stay.
        differences.compare("exited", report.ended, exited);
        let system = self.served("goroscope_system_goroutines")?;
        let from_c = report.num_goroutine - self.with_creator()? - 1;
        differences.compare("live of those created", live - from_c + system, created - exited);
        if let Some(before) = before {
            let before_created = before.served("goroscope_goroutines_created_total")?;
            let started = report.started - before.report.started;
            differences.compare("created in between", started, created - before_created);
        }
        for event in ["created", "exited"] {
            let labels = [("pid", self.pid.as_str()), ("event", event)];
            let drift = self.scrape.value("goroscope_count_drift_goroutines", &labels)?;
            differences.compare(&format!("drift of {event}"), 0.0, drift);
        }
        let threads = u64::try_from(self.threads)?;
        differences.compare("threads", threads, self.served("goroscope_threads")?);
        differences.compare("GOMAXPROCS", report.gomaxprocs, self.served("goroscope_gomaxprocs")?);
        self.metric("goroscope_gomaxprocs", "/sched/gomaxprocs:threads", differences)?;
        let latencies = "/sched/latencies:seconds";
        self.histogram("goroscope_goroutine_sched_delay_seconds", latencies, differences)
    }

    /// Goroutines that a `go` statement created, but for the main one; the rest are those of
    /// threads that C created.
    fn with_creator(&self) -> Result<u64> {
        let sum = self.report.sites.values().sum::<u64>();
        ensure!(sum < self.report.num_goroutine, "{sum} have a creator: {:?}", self.report);
        Ok(sum)
    }

    /// States, wait reasons and creation sites.
    fn groups(&self, differences: &mut Differences) -> Result<()> {
        let (mut states, mut reasons) = (BTreeMap::new(), BTreeMap::new());
        for (told, count) in &self.report.states {
            let state = match told.as_str() {
                "runnable" | "running" | "syscall" | "copystack" | "preempted" | "leaked" => told,
                reason => {
                    *reasons.entry(reason.to_owned()).or_default() += count;
                    "waiting"
                }
            };
            *states.entry(state.to_owned()).or_default() += count;
        }
        let by = |name: &str, key: &dyn Fn(&Sample) -> Option<String>| -> Result<_> {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for sample in self.scrape.series(name, &[("pid", &self.pid)]) {
                let count = sample.count().with_context(|| format!("{sample:?}"))?;
                if let Some(key) = key(sample).filter(|_| count > 0) {
                    *counts.entry(key).or_default() += count;
                }
            }
            Ok(counts)
        };
        let served = by("goroscope_goroutines_by_state", &|s| Some(s.label("state").to_owned()))?;
        differences.compare("states", text(&states), text(&served));
        let served = by("goroscope_goroutines_waiting", &|s| Some(s.label("reason").to_owned()))?;
        differences.compare("wait reasons", text(&reasons), text(&served));
        let served = by("goroscope_site_goroutines", &site)?;
        differences.compare("sites", text(&self.report.sites), text(&served));
        Ok(())
    }

    fn memory(&self, differences: &mut Differences) -> Result<()> {
        let report = &self.report;
        for (name, metric) in [
            ("goroscope_gc_cycles_total", "/gc/cycles/total:gc-cycles"),
            ("goroscope_heap_live_bytes", "/gc/heap/live:bytes"),
            ("goroscope_heap_goal_bytes", "/gc/heap/goal:bytes"),
            ("goroscope_heap_objects", "/gc/heap/objects:objects"),
            ("goroscope_heap_allocated_bytes_total", "/gc/heap/allocs:bytes"),
            ("goroscope_stack_bytes", "/memory/classes/heap/stacks:bytes"),
        ] {
            self.metric(name, metric, differences)?;
        }
        differences.compare("NumGC", report.num_gc, self.served("goroscope_gc_cycles_total")?);
        differences.compare("NextGC", report.next_gc, self.served("goroscope_heap_goal_bytes")?);
        differences.compare(
            "StackInuse",
            report.stack_inuse,
            self.served("goroscope_stack_bytes")?,
        );
        #[expect(clippy::cast_precision_loss, reason = "seconds are served as a double")]
        let total = report.pause_total as f64 / 1e9;
        let sum = self.scrape.value("goroscope_gc_pause_seconds_sum", &[("pid", &self.pid)])?;
        differences.compare("PauseTotal", total, sum);
        self.histogram("goroscope_gc_pause_seconds", "/gc/pauses:seconds", differences)
    }

    /// Each bucket served holds what the program's buckets up to that bound hold.
    fn histogram(&self, name: &str, metric: &str, differences: &mut Differences) -> Result<()> {
        let told = self.report.histograms.get(metric).with_context(|| metric.to_owned())?;
        let bucket = format!("{name}_bucket");
        let mut buckets = 0;
        for sample in self.scrape.series(&bucket, &[("pid", &self.pid)]) {
            let le = sample.label("le");
            let expected =
                up_to(told, le).with_context(|| format!("{metric} has no bound {le}"))?;
            let served = sample.count().with_context(|| format!("{sample:?}"))?;
            differences.compare(&format!("{name} up to {le}"), expected, served);
            buckets += 1;
        }
        ensure!(buckets > 10, "{name} has {buckets} buckets");
        let count = told.counts.iter().sum();
        differences.compare(name, count, self.served(&format!("{name}_count"))?);
        Ok(())
    }
}

fn known(number: Option<u64>) -> Result<u64> {
    number.context("it is null")
}

/// Observations below this bound, which has to be one of the histogram's.
fn up_to(histogram: &Histogram, le: &str) -> Option<u64> {
    if le == "+Inf" {
        return Some(histogram.counts.iter().sum());
    }
    let le: f64 = le.parse().ok()?;
    let at = histogram.bounds.iter().position(|bound| *bound == le)?;
    Some(histogram.counts.iter().take(at + 1).sum())
}

/// Creator, place and start as the program names them; none for what its dump does not show: the
/// runtime's own goroutines, and those that no `go` statement created.
fn site(sample: &Sample) -> Option<String> {
    let [creator, place, start] = ["created_by", "location", "start"].map(|key| sample.label(key));
    // A dump leaves out the wrapper that the compiler makes of a method's value.
    let start = start.strip_suffix("-fm").unwrap_or(start);
    let shown = !creator.starts_with("runtime.") && !start.starts_with("runtime.");
    (shown && !place.is_empty()).then(|| format!("{creator} {place} {start}"))
}

fn text(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(key, count)| format!("{key}={count}, ")).collect()
}
