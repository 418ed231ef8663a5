//! Twelve real kinds of leaks, five goroutines a second, in servers that do honest work as well:
//! each is confirmed within a minute, at the right line, and nothing else of the server is. Twelve
//! programs that look alike are never confirmed.

use std::{
    collections::BTreeMap,
    process::{Command, ExitCode},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    requires, skip,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

const VERSIONS: [&str; 3] = ["1.21.13", "1.24.11", "1.27.3"];

const LEAKS: [&str; 12] = [
    "sse",
    "range",
    "producer",
    "ticker",
    "afterfunc",
    "select",
    "waitgroup",
    "mutex",
    "nilchan",
    "body",
    "cancel",
    "timers",
];

/// Look-alikes that are watched live, in real time; the judge's own tests have all twelve.
const INNOCENTS: [&str; 4] = ["pool", "burst", "startup", "connections"];

/// How long each is healthy at first.
const HEALTHY: Duration = Duration::from_secs(12);
/// In which a leak must be confirmed.
const IN_TIME: Duration = Duration::from_secs(60);
/// How long look-alikes are watched.
const WATCHED: Duration = Duration::from_secs(100);
/// They mostly wait, so that all can at once.
const AT_ONCE: usize = 64;

/// Seconds until each was confirmed, for the table.
type Table = Arc<Mutex<BTreeMap<&'static str, BTreeMap<&'static str, String>>>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let table = Table::default();
    let agent = Arc::new(OnceLock::new());
    let mut trials = Vec::new();
    for version in VERSIONS {
        for leak in LEAKS {
            let (agent, table) = (Arc::clone(&agent), Arc::clone(&table));
            let name = format!("leaks::{leak}::go{version}");
            trials.push(trial(name, version, move |go| {
                let outcome = confirmed(shared(&agent)?, leak, go);
                let cell = match &outcome {
                    Ok(seconds) => format!("{:.0} s", seconds.as_secs_f64()),
                    Err(_) => "FAIL".to_owned(),
                };
                let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                table.entry(leak).or_default().insert(version, cell);
                outcome.map(drop)
            }));
        }
    }
    for innocent in INNOCENTS {
        let agent = Arc::clone(&agent);
        let version = NEWEST;
        let name = format!("innocent::{innocent}::go{version}");
        trials.push(trial(name, version, move |go| silent(shared(&agent)?, innocent, go)));
    }
    let listed = arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !listed {
        show(&table.lock().unwrap_or_else(PoisonError::into_inner));
    }
    // The agent ends with the last that holds it.
    drop(agent);
    conclusion.exit_code()
}

fn trial(
    name: String,
    version: &'static str,
    test: impl FnOnce(&Go) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name.clone(), move || {
        if let Err(reason) = requires::kernel().and_then(|()| requires::go(version)) {
            skip::note(&name, &reason);
            return Ok(());
        }
        Go::find(version)
            .and_then(|go| test(&go))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn shared(agent: &OnceLock<Result<Agent, String>>) -> Result<&Agent> {
    let start = || {
        let built = fixture::built().map_err(|error| format!("{error:#}"))?;
        let globs = ["leaks", "innocent"].map(|name| format!("{}/**/{name}", built.display()));
        let [leaks, innocent] = &globs;
        Agent::start(&["--exe", leaks, "--exe", innocent]).map_err(|error| format!("{error:#}"))
    };
    agent.get_or_init(start).as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
}

/// Where goroutines are created, by the program's own dump.
#[derive(Clone, Debug, Deserialize)]
struct Place {
    created_by: String,
    file: String,
    line: u32,
    start: String,
}

#[derive(Deserialize)]
struct Leaky {
    leak: Place,
    also: Vec<Place>,
}

#[derive(Deserialize)]
struct Leaked {
    leaked: u64,
}

/// A verdict, of `/api/v1/leaks`.
#[derive(Clone, Debug, Deserialize)]
struct Leak {
    pid: u32,
    created_by: String,
    location: String,
    start: String,
    verdict: String,
    wait_reason: String,
    goroutines: u64,
    per_minute: f64,
    stack_bytes: u64,
    evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, Deserialize)]
struct Evidence {
    rule: String,
    words: String,
}

impl Leak {
    fn is_at(&self, place: &Place) -> bool {
        self.created_by == place.created_by
            && self.location == format!("{}:{}", place.file, place.line)
            && self.start == place.start
    }
}

fn verdicts(agent: &Agent, pid: u32) -> Result<Vec<Leak>> {
    let all: Vec<Leak> = agent.json("/api/v1/leaks")?;
    Ok(all.into_iter().filter(|leak| leak.pid == pid).collect())
}

/// Lets a program leak; gives the time until that was confirmed.
fn confirmed(agent: &Agent, leak: &str, go: &Go) -> Result<Duration> {
    let path = fixture::build("leaks", go, Mode::Normal)?;
    let mut target = Speaker::spawn(Command::new(path).arg(leak))?;
    let ready: Leaky = target.hear()?;
    let places: Vec<Place> = std::iter::once(ready.leak).chain(ready.also).collect();
    let pid = target.pid();
    thread::sleep(HEALTHY);
    ensure!(verdicts(agent, pid)?.is_empty(), "a verdict before it leaks");

    target.say("leak")?;
    let first = Instant::now();
    let found = loop {
        let seen = verdicts(agent, pid)?;
        let known = seen.iter().find(|leak| leak.verdict == "confirmed");
        if let Some(known) = known {
            break known.clone();
        }
        if first.elapsed() > IN_TIME {
            target.say("report")?;
            let report: Leaked = target.hear()?;
            bail!(
                "not confirmed: {} leaked, {seen:#?}, sites {:#?}",
                report.leaked,
                agent.sites(pid)?
            );
        }
        thread::sleep(Duration::from_millis(500));
    };
    let after = first.elapsed();
    ensure!(
        places.iter().any(|place| found.is_at(place)),
        "it leaks at {places:?}, the verdict is on {found:?}"
    );
    target.say("report")?;
    let report: Leaked = target.hear()?;
    ensure!(
        found.goroutines > 0 && found.goroutines <= report.leaked + 60,
        "{found:?}, leaked {}",
        report.leaked
    );
    ensure!(found.per_minute > 60.0 && found.per_minute < 1000.0, "{found:?}");
    ensure!(found.stack_bytes > 0 && !found.wait_reason.is_empty(), "{found:?}");
    let rules: Vec<&str> = found.evidence.iter().map(|evidence| evidence.rule.as_str()).collect();
    ensure!(rules == ["growth", "survivors", "stillness", "waiting"], "{found:?}");
    ensure!(found.evidence.iter().all(|evidence| !evidence.words.is_empty()), "{found:?}");
    // What it does honestly is in peace.
    for other in verdicts(agent, pid)? {
        let right = places.iter().any(|place| other.is_at(place));
        ensure!(right || other.verdict != "confirmed", "{other:?} does not leak");
    }
    let labels = [("pid", pid.to_string()), ("verdict", "confirmed".to_owned())];
    let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let scrape = agent.scrape()?;
    let held: u64 = scrape
        .series("goroscope_leak_goroutines", &labels)
        .filter_map(|sample| sample.count())
        .sum();
    ensure!(held >= found.goroutines, "the metric has {held}, {found:?}");
    target.quit().context("the program did not end")?;
    Ok(after)
}

/// Nothing of a look-alike is ever confirmed.
fn silent(agent: &Agent, pattern: &str, go: &Go) -> Result<()> {
    let path = fixture::build("innocent", go, Mode::Normal)?;
    let target = Speaker::start_command(Command::new(path).arg(pattern))?;
    let pid = target.pid();
    let start = Instant::now();
    while start.elapsed() < WATCHED {
        let seen = verdicts(agent, pid)?;
        let wrong: Vec<&Leak> = seen.iter().filter(|leak| leak.verdict == "confirmed").collect();
        ensure!(
            wrong.is_empty(),
            "after {:?}: {wrong:#?}, {:#?}",
            start.elapsed(),
            agent.sites(pid)?
        );
        thread::sleep(Duration::from_secs(1));
    }
    let watch = agent.process(pid)?.context("it was not watched")?.watch;
    ensure!(watch.runtime == "ok", "{watch:?}");
    target.quit()?;
    Ok(())
}

fn show(table: &BTreeMap<&'static str, BTreeMap<&'static str, String>>) {
    if table.is_empty() {
        return;
    }
    print!("\n{:18}", "confirmed after");
    VERSIONS.iter().for_each(|version| print!("{version:>9}"));
    println!();
    for (leak, row) in table {
        print!("{leak:18}");
        for version in VERSIONS {
            print!("{:>9}", row.get(version).map_or("-", String::as_str));
        }
        println!();
    }
}
