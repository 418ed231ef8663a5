//! The programs that leak and those that only look so do what they say of themselves: those leak at
//! the rate asked for, at the place named; these have many goroutines, but never more than bounded.
//!
//! The verdicts on leaks are tested with them, so what they say has to be true.

use std::{
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    poll, requires, skip,
    speaker::Speaker,
    toolchain::Go,
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

/// Name, first Go release (1.x) that has it, and the scale of time at which it takes some seconds.
const INNOCENTS: [(&str, u32, f64); 12] = [
    ("pool", 21, 0.05),
    ("burst", 21, 0.05),
    ("connections", 21, 0.04),
    ("sleepers", 21, 0.05),
    ("cache", 21, 0.05),
    ("pipeline", 21, 0.05),
    ("coroutines", 23, 0.05),
    ("gcchurn", 21, 0.05),
    ("websocket", 21, 0.015),
    ("retry", 21, 0.05),
    ("batch", 21, 0.05),
    ("startup", 21, 0.05),
];

/// Goroutines leaked a second.
const RATE: f64 = 5.0;
/// How long they are watched before they leak.
const HEALTHY: Duration = Duration::from_millis(500);
const LEAKING: Duration = Duration::from_secs(6);
/// Goroutines of honest requests that may be at the place of the leak at once.
const HONEST: usize = 60;
/// How much longer than it should something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// They mostly wait, so that many can at once.
const AT_ONCE: usize = 39;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = Vec::new();
    for version in VERSIONS {
        for leak in LEAKS {
            let name = format!("leaks::{leak}::go{version}");
            trials.push(trial(name, version, move |go| leaks(leak, RATE, go)));
        }
        let name = format!("leaks::fast::go{version}");
        trials.push(trial(name, version, |go| leaks("range", 8.0 * RATE, go)));
    }
    for version in VERSIONS {
        for (pattern, since, scale) in INNOCENTS {
            let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
            if minor.is_some_and(|minor: u32| minor < since) {
                continue;
            }
            let name = format!("innocent::{pattern}::go{version}");
            trials.push(trial(name, version, move |go| stays_bounded(pattern, scale, go)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(
    name: String,
    version: &'static str,
    test: impl FnOnce(&Go) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name.clone(), move || {
        if let Err(reason) = requires::go(version) {
            skip::note(&name, &reason);
            return Ok(());
        }
        Go::find(version)
            .and_then(|go| test(&go))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Where goroutines are created.
#[derive(Debug, Deserialize)]
struct Place {
    created_by: String,
    file: String,
    line: u32,
    start: String,
}

#[derive(Deserialize)]
struct Leaky {
    ready: bool,
    go: String,
    pid: u32,
    leak: Place,
    also: Vec<Place>,
}

#[derive(Debug, Deserialize)]
struct Leaked {
    leaked: usize,
    num_goroutine: usize,
    served: u64,
}

#[derive(Deserialize)]
struct Dump {
    dump: String,
}

fn leaks(leak: &str, wanted: f64, go: &Go) -> Result<()> {
    let path = fixture::build("leaks", go, Mode::Normal)?;
    let mut target = Speaker::spawn(Command::new(path).arg(leak).arg(wanted.to_string()))?;
    let ready: Leaky = target.hear()?;
    ensure!(ready.ready && ready.go == go.to_string(), "it is {:?}", ready.go);
    ensure!(ready.pid == target.pid(), "it takes {} for its pid", ready.pid);
    thread::sleep(HEALTHY);
    let before = report(&mut target)?;
    ensure!(before.leaked == 0, "it leaks unasked: {before:?}");

    let started = Instant::now();
    target.say("leak")?;
    thread::sleep(LEAKING);
    let after = report(&mut target)?;
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(after.leaked)?) / seconds;
    ensure!(
        (wanted / 2.0..=wanted * 2.0).contains(&rate),
        "{rate:.1} leaked a second, want {wanted}: {after:?} after {seconds:.1} s"
    );
    ensure!(after.num_goroutine >= after.leaked, "not all leaked ones are there: {after:?}");
    ensure!(after.served > before.served, "it does no honest work: {before:?}, {after:?}");

    let places: Vec<&Place> = std::iter::once(&ready.leak).chain(&ready.also).collect();
    // A timer of the last request may not have fired yet.
    let dump = poll::until("all leaked ones are in the dump", PATIENCE, || {
        let dump = dump(&mut target)?;
        let there: usize = places.iter().map(|place| created_at(&dump, place)).sum();
        ensure!(there >= after.leaked, "{there} at {places:?}, {after:?}:\n{dump}");
        Ok(Some(dump))
    })?;
    let now = report(&mut target)?;
    let mut there = 0;
    for place in &places {
        let here = created_at(&dump, place);
        ensure!(here > 0, "no goroutine of the dump is from {place:?}:\n{dump}");
        there += here;
    }
    ensure!(there <= now.leaked + HONEST, "{there} at {places:?}, {now:?}:\n{dump}");
    target.quit()?;
    Ok(())
}

fn report(target: &mut Speaker) -> Result<Leaked> {
    target.say("report")?;
    target.hear()
}

fn dump(target: &mut Speaker) -> Result<String> {
    target.say("dump")?;
    target.hear().map(|dump: Dump| dump.dump)
}

/// How many goroutines of the dump were created there.
fn created_at(dump: &str, place: &Place) -> usize {
    let from = |goroutine: &&str| is_from(goroutine, place).unwrap_or(false);
    dump.split("\n\n").filter(from).count()
}

/// Whether a goroutine of the dump was created there; `None` where that is not told.
fn is_from(goroutine: &str, place: &Place) -> Option<bool> {
    let lines: Vec<&str> = goroutine.trim_end().lines().collect();
    let at = lines.iter().position(|line| line.starts_with("created by "))?;
    let creator = lines.get(at)?.strip_prefix("created by ")?;
    let creator = creator.split_once(" in goroutine ").map_or(creator, |(name, _)| name);
    let (path, line) = lines.get(at + 1)?.trim().split_once(' ')?.0.rsplit_once(':')?;
    let (_, file) = path.rsplit_once('/')?;
    // The bottom frame is two lines, of which the first is the function with its arguments.
    let bottom = lines.get(at.checked_sub(2)?)?.rsplit_once('(')?.0;
    // The dump hides the functions that the compiler makes for a `go` statement with arguments.
    let wrapped = place.start.starts_with(&format!("{}.", place.created_by));
    Some(
        creator == place.created_by
            && file == place.file
            && line.parse() == Ok(place.line)
            && (bottom == place.start || wrapped),
    )
}

#[derive(Deserialize)]
struct Innocent {
    ready: bool,
    go: String,
    pid: u32,
    bound: usize,
    cycle_seconds: f64,
    falls: bool,
}

#[derive(Debug, Deserialize)]
struct Watched {
    num_goroutine: usize,
    peak: usize,
    low: usize,
}

fn stays_bounded(pattern: &str, scale: f64, go: &Go) -> Result<()> {
    let path = fixture::build("innocent", go, Mode::Normal)?;
    let mut target = Speaker::spawn(Command::new(path).arg(pattern).arg(scale.to_string()))?;
    let ready: Innocent = target.hear()?;
    ensure!(ready.ready && ready.go == go.to_string(), "it is {:?}", ready.go);
    ensure!(ready.pid == target.pid(), "it takes {} for its pid", ready.pid);
    thread::sleep(Duration::from_secs_f64(ready.cycle_seconds));
    let shown = poll::until("it shows what it does", PATIENCE, || {
        target.say("report")?;
        let seen: Watched = target.hear()?;
        ensure!(seen.peak >= ready.bound / 2, "few goroutines, bound {}: {seen:?}", ready.bound);
        ensure!(!ready.falls || seen.low <= seen.peak / 2, "it does not fall: {seen:?}");
        Ok(Some(seen))
    })
    .with_context(|| format!("{pattern} at scale {scale}"))?;
    ensure!(
        shown.peak <= ready.bound && shown.num_goroutine <= ready.bound,
        "more goroutines than {}: {shown:?}",
        ready.bound
    );
    target.quit()?;
    Ok(())
}
