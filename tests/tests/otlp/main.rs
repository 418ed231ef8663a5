//! What is pushed by OTLP is what the programs say of themselves, and what a collector does wrong
//! troubles nobody.

mod collector;
mod trouble;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use collector::{Resource, of_process};
use goroscope_tests::{
    agent::{Agent, PATIENCE},
    fake::Fake,
    fixture::{self, Mode},
    poll, requires,
    rest::{Report, Rest},
    skip_unless,
    toolchain::{Go, NEWEST},
};

/// The program tells when something in it moved after all; so often it may try again.
const ATTEMPTS: usize = 40;
/// How long the program's threads may take to go to sleep.
const DOZE: Duration = Duration::from_millis(30);

#[test]
fn what_is_pushed_is_what_the_newest_go_says_of_itself() -> Result<()> {
    skip_unless!(
        "what_is_pushed_is_what_the_newest_go_says_of_itself",
        requires::kernel().and_then(|()| requires::go(NEWEST))
    );
    compare(NEWEST, &[])
}

#[test]
fn what_is_pushed_is_what_an_old_go_with_a_limit_says_of_itself() -> Result<()> {
    const OLD: &str = "1.21.13";
    skip_unless!(
        "what_is_pushed_is_what_an_old_go_with_a_limit_says_of_itself",
        requires::kernel().and_then(|()| requires::go(OLD))
    );
    compare(OLD, &[("GOMEMLIMIT", "300MiB"), ("GOGC", "70")])
}

fn compare(version: &'static str, environment: &[(&str, &str)]) -> Result<()> {
    let fake = Fake::start()?;
    let before = nanos(SystemTime::now())?;
    let path = fixture::build("rest", &Go::find(version)?, Mode::Normal)?;
    let mut program = Rest::start_with(&path, &[], environment)?;
    let pid = program.pid();
    let url = fake.url();
    let pid_text = pid.to_string();
    let mut arguments =
        vec!["--pid", &pid_text, "--otlp-endpoint", &url, "--otlp-interval", "300ms"];
    // The host by its own name, and by one that it is given.
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let named = if environment.is_empty() { own.as_str() } else { "node-7" };
    if named != own {
        arguments.extend(["--node-name", named]);
    }
    let agent = Agent::start(&arguments)?;
    agent.wait_read(pid)?;
    agent.wait_probed(pid)?;
    let (resource, report) = at_rest(&agent, &fake, &mut program)?;
    attributes(&resource, &path.display().to_string(), version)?;
    ensure!(resource.attribute("host.name")? == named);
    ensure!(resource.attribute("service.instance.id")?.starts_with(named));
    let mut differences = Vec::new();
    runtime(&resource, &report, &mut differences)?;
    goroutines(&resource, &report, &mut differences)?;
    ensure!(differences.is_empty(), "not equal:\n  {}", differences.join("\n  "));
    let limits = resource.points("go.memory.limit")?;
    ensure!(limits.len() == usize::from(!environment.is_empty()), "{limits:?}");

    // Since the process started, but for what the kernel side counts.
    let start = resource.points("go.goroutine.count")?.first().context("no goroutines")?.start;
    let slack = 2_000_000_000;
    ensure!(start + slack > before && start < resource.time()? + slack, "{start} {before}");
    let delay = resource.histogram("goroscope.thread.schedule.duration")?;
    ensure!(delay.start_time_unix_nano > start && delay.count > 0, "{delay:?}");
    ensure!(delay.bucket_counts.iter().sum::<u64>() == delay.count, "{delay:?}");
    ensure!(delay.bucket_counts.len() == delay.explicit_bounds.len() + 1, "{delay:?}");

    drop(program);
    poll::until("it is gone from the agent", PATIENCE, || {
        Ok(agent.process(pid)?.is_none().then_some(()))
    })?;
    let count = of_process(&fake, pid)?.len();
    let requests = fake.received().len();
    poll::until("more is pushed", PATIENCE, || {
        Ok((fake.received().len() > requests + 3).then_some(()))
    })?;
    // One may have been under way.
    ensure!(of_process(&fake, pid)?.len() <= count + 1, "what is gone is pushed");
    let delivered =
        agent.scrape()?.count("goroscope_otlp_exports_total", &[("outcome", "delivered")])?;
    ensure!(delivered >= 4, "{delivered}");
    Ok(())
}

fn nanos(time: SystemTime) -> Result<u64> {
    Ok(u64::try_from(time.duration_since(UNIX_EPOCH)?.as_nanos())?)
}

/// Lets the program come to rest, and gives what was pushed of it then, and what it says.
fn at_rest(agent: &Agent, fake: &Fake, program: &mut Rest) -> Result<(Resource, Report)> {
    let pid = program.pid();
    let label = pid.to_string();
    let mut moved = Vec::new();
    for _ in 0..ATTEMPTS {
        program.freeze()?;
        let since = (SystemTime::now() + DOZE).duration_since(UNIX_EPOCH)?.as_secs_f64();
        poll::until("its goroutines are looked at", PATIENCE, || {
            let scrape = agent.scrape()?;
            let at = scrape.value("goroscope_scan_timestamp_seconds", &[("pid", &label)])?;
            Ok((at > since).then_some(()))
        })?;
        let looked = nanos(SystemTime::now())?;
        let resource = poll::until("it is pushed", PATIENCE, || {
            let last = of_process(fake, pid)?.pop();
            Ok(last.filter(|resource| resource.time().is_ok_and(|time| time > looked)))
        })?;
        let report = program.report()?;
        if report.moved.is_empty() {
            return Ok((resource, report));
        }
        moved = report.moved;
    }
    bail!("it does not come to rest: {moved:?}");
}

fn attributes(resource: &Resource, path: &str, version: &str) -> Result<()> {
    for (key, expected) in [
        ("service.name", "rest"),
        ("process.executable.name", "rest"),
        ("process.executable.path", path),
        ("process.runtime.name", "go"),
        ("process.runtime.version", &format!("go{version}")),
        ("os.type", "linux"),
    ] {
        let value = resource.attribute(key)?;
        // A long path loses its middle.
        ensure!(value == expected || value.contains('…'), "{key}: {value}, not {expected}");
    }
    Ok(())
}

fn note<T: PartialEq + Debug>(what: &str, told: T, pushed: T, differences: &mut Vec<String>) {
    if told != pushed {
        differences.push(format!("{what}: the program says {told:?}, pushed is {pushed:?}"));
    }
}

fn runtime(resource: &Resource, report: &Report, differences: &mut Vec<String>) -> Result<()> {
    let told = |name: &str| {
        report.metrics.get(name).copied().with_context(|| format!("the program has no {name}"))
    };
    let pushed = |name: &str| resource.number(name);
    note("count", report.num_goroutine, pushed("go.goroutine.count")?, differences);
    note("limit", report.gomaxprocs, pushed("go.processor.limit")?, differences);
    for (name, metric) in [
        ("go.memory.allocated", "/gc/heap/allocs:bytes"),
        ("go.memory.allocations", "/gc/heap/allocs:objects"),
        ("go.memory.gc.goal", "/gc/heap/goal:bytes"),
        ("go.memory.gc.cycles", "/gc/cycles/total:gc-cycles"),
        ("go.config.gogc", "/gc/gogc:percent"),
        ("goroscope.heap.live", "/gc/heap/live:bytes"),
        ("goroscope.heap.objects", "/gc/heap/objects:objects"),
    ] {
        note(name, told(metric)?, pushed(name)?, differences);
    }
    let limit = told("/gc/gomemlimit:bytes")?;
    let limit = if i64::try_from(limit)? == i64::MAX { Vec::new() } else { vec![limit] };
    let pushed: Vec<u64> = resource.points("go.memory.limit")?.iter().map(|p| p.value).collect();
    note("go.memory.limit", limit, pushed, differences);
    let stack = told("/memory/classes/heap/stacks:bytes")?;
    let all = told("/memory/classes/total:bytes")? - told("/memory/classes/heap/released:bytes")?;
    let used = BTreeMap::from([("stack".to_owned(), stack), ("other".to_owned(), all - stack)]);
    let pushed = resource.by("go.memory.used", &["go.memory.type"])?;
    note("go.memory.used", used, pushed, differences);
    for (name, metric) in [
        ("go.schedule.duration", "/sched/latencies:seconds"),
        ("go.memory.gc.pause.duration", "/gc/pauses:seconds"),
    ] {
        let told = report.histograms.get(metric).with_context(|| metric.to_owned())?;
        let pushed = resource.histogram(name)?;
        note(name, &told.counts, &pushed.bucket_counts, differences);
        note(name, &told.bounds, &pushed.explicit_bounds, differences);
        note(name, told.counts.iter().sum(), pushed.count, differences);
    }
    Ok(())
}

fn goroutines(resource: &Resource, report: &Report, differences: &mut Vec<String>) -> Result<()> {
    note("exited", report.ended, resource.number("goroscope.goroutines.exited")?, differences);
    let keys = ["created_by", "location", "start"].map(|key| format!("goroscope.site.{key}"));
    let keys = [keys[0].as_str(), &keys[1], &keys[2]];
    // A dump has neither the runtime's own, nor those that no `go` statement created, nor the
    // wrapper that the compiler makes of a method's value.
    let mut sites = BTreeMap::new();
    for (site, live) in resource.by("goroscope.site.goroutines", &keys)? {
        let hidden = site.starts_with("runtime.") || site.contains(" runtime.");
        if !hidden && !site.contains("  ") && !site.starts_with("(a thread of C)") {
            *sites.entry(site.trim_end_matches("-fm").to_owned()).or_insert(0) += live;
        }
    }
    note("sites", report.sites.clone(), sites, differences);
    let state = ["goroscope.goroutine.state"];
    let states = resource.by("goroscope.goroutines.by_state", &state)?;
    note("states", report.num_goroutine, states.values().sum(), differences);
    let reason = ["goroscope.goroutine.wait_reason"];
    let reasons = resource.by("goroscope.goroutines.waiting", &reason)?;
    for (reason, count) in &reasons {
        let told = report.states.get(reason).copied().unwrap_or(0);
        note(reason, told, *count, differences);
    }
    ensure!(reasons.len() > 5, "{reasons:?}");
    Ok(())
}
