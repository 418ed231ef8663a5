//! A program that creates and ends goroutines as fast as it can, while the number of its processors
//! changes, is scraped again and again: no scrape has a value that is impossible.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{Agent, PATIENCE},
    fixture::{self, Mode},
    poll,
    prometheus::{Labels, Sample, Scrape},
    requires, skip, skip_unless,
    speaker::Speaker,
    toolchain::Go,
};
use serde::Deserialize;

/// Scrapes of each program, and looks at its goroutines among them; both at least.
const SCRAPES: usize = 300;
const LOOKS: u64 = 5;
/// Records of goroutines that the program can have: eight loops that each have at most a hundred
/// times their number, and what the runtime keeps for each processor to use again.
const MOST: u64 = 20_000;
/// GOMAXPROCS goes through these.
const PROCESSORS: [u64; 4] = [1, 2, 4, 8];
const STATES: [&str; 7] =
    ["runnable", "running", "syscall", "waiting", "copystack", "preempted", "leaked"];

#[test]
fn without_probes_no_value_is_impossible() -> Result<()> {
    const NAME: &str = "without_probes_no_value_is_impossible";
    skip_unless!(NAME, requires::kernel());
    all(NAME, "off")
}

/// They are taken off soon, for what they cost.
#[test]
fn with_probes_within_their_budget_no_value_is_impossible() -> Result<()> {
    const NAME: &str = "with_probes_within_their_budget_no_value_is_impossible";
    skip_unless!(NAME, requires::kernel());
    all(NAME, "auto")
}

#[test]
fn with_probes_at_any_cost_no_value_is_impossible() -> Result<()> {
    const NAME: &str = "with_probes_at_any_cost_no_value_is_impossible";
    skip_unless!(NAME, requires::kernel());
    all(NAME, "always")
}

fn all(test: &str, probes: &str) -> Result<()> {
    for (version, mode) in
        [("1.27.3", Mode::Normal), ("1.23.9", Mode::PieStripped), ("1.19", Mode::Stripped)]
    {
        match Go::find(version) {
            Ok(go) => {
                fire(&go, mode, probes).with_context(|| format!("{go}, {mode}, probes {probes}"))?
            }
            Err(error) => skip::note(&format!("{test}::go{version}"), &error.to_string()),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Told {
    started: u64,
    num_goroutine: u64,
}

fn fire(go: &Go, mode: Mode, probes: &str) -> Result<()> {
    let functions = functions(go)?;
    let mut storm = Speaker::start(&fixture::build("storm", go, mode)?, &[] as &[&str])?;
    let pid = storm.pid().to_string();
    let agent = Agent::start(&["--pid", &pid, "--probes", probes])?;
    agent.wait_read(storm.pid())?;
    let mut before = BTreeMap::new();
    let (mut largest, mut scrapes, mut looks) = (0, 0, 0);
    let began = Instant::now();
    while scrapes < SCRAPES || looks < LOOKS {
        ensure!(began.elapsed() < PATIENCE, "{looks} looks at the goroutines, {scrapes} scrapes");
        let scrape = agent.scrape()?;
        let seen = Seen { scrape: &scrape, pid: &pid };
        before = seen.grows(&before)?;
        seen.counts()?;
        largest = seen.groups()?.max(largest);
        seen.names(&functions)?;
        looks = seen.count("goroscope_scans_total")?;
        scrapes += 1;
    }
    ensure!(largest > 100, "no look at the goroutines saw more than {largest}");

    storm.say("stop")?;
    let told: Told = storm.hear()?;
    let scrape = agent.scrape()?;
    let seen = Seen { scrape: &scrape, pid: &pid };
    let (live, created) =
        (seen.count("goroscope_goroutines")?, seen.count("goroscope_goroutines_created_total")?);
    println!(
        "{go} {mode}, probes {probes}: {created} created, at most {largest} at once; {scrapes} \
         scrapes, {looks} looks, {} torn, {} unreadable",
        seen.count("goroscope_scan_torn_total")?,
        seen.count("goroscope_scan_unreadable_total")?
    );
    let hits = seen.sum("goroscope_probe_hits_total");
    ensure!((hits > 0) == (probes != "off"), "the probes were hit {hits} times");
    ensure!(live == told.num_goroutine, "{live} goroutines, not {}", told.num_goroutine);
    // The runtime's own goroutines are created by the dozen, not by the thousand.
    let own = created.checked_sub(told.started).context("fewer created than it started")?;
    ensure!((1..64).contains(&own), "{created} created, {} by the program", told.started);
    poll::until("all figures come to rest", PATIENCE, || {
        let scrape = agent.scrape()?;
        Seen { scrape: &scrape, pid: &pid }.rests(&told, probes).map(Some)
    })?;
    storm.quit()?;
    Ok(())
}

/// Names of all functions in the program; how it is laid out makes no difference.
fn functions(go: &Go) -> Result<BTreeSet<String>> {
    let program = fixture::build("storm", go, Mode::Normal)?;
    let output = go.command()?.args(["tool", "nm"]).arg(program).output()?;
    ensure!(output.status.success(), "go tool nm: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let functions: BTreeSet<String> = text
        .lines()
        .filter_map(|line| {
            let (kind, name) = line.trim_start().split_once(' ')?.1.trim_start().split_once(' ')?;
            kind.eq_ignore_ascii_case("t").then(|| name.to_owned())
        })
        .collect();
    ensure!(functions.contains("main.main"), "{} functions, no main.main", functions.len());
    Ok(functions)
}

/// What one scrape says of the program.
struct Seen<'a> {
    scrape: &'a Scrape,
    pid: &'a str,
}

impl Seen<'_> {
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.scrape.samples.iter().filter(|sample| sample.label("pid") == self.pid)
    }

    fn series(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.samples().filter(move |sample| sample.name == name)
    }

    fn count(&self, name: &str) -> Result<u64> {
        self.scrape.count(name, &[("pid", self.pid)])
    }

    fn sum(&self, name: &str) -> u64 {
        self.series(name).filter_map(Sample::count).sum()
    }

    /// No value is below zero, and no counter falls; gives the counters.
    fn grows(
        &self,
        before: &BTreeMap<(String, Labels), f64>,
    ) -> Result<BTreeMap<(String, Labels), f64>> {
        let mut counters = BTreeMap::new();
        for sample in self.samples() {
            // The one counts a moment before the other, so that it may be off either way.
            let drift = sample.name == "goroscope_count_drift_goroutines";
            ensure!(sample.value >= 0.0 || drift, "below zero: {sample:?}");
            let suffix = ["_total", "_bucket", "_count"].iter().find_map(|suffix| {
                let family = sample.name.strip_suffix(suffix)?;
                let kind = self.scrape.types.get(family).or(self.scrape.types.get(&sample.name))?;
                (kind == "counter" || kind == "histogram").then_some(())
            });
            if suffix.is_none() || sample.label("created_by") == "other" {
                continue;
            }
            let key = (sample.name.clone(), sample.labels.clone());
            if let Some(before) = before.get(&key) {
                ensure!(sample.value >= *before, "{sample:?} has been {before}");
            }
            counters.insert(key, sample.value);
        }
        ensure!(before.is_empty() || counters.len() > 10, "the counters: {counters:?}");
        Ok(counters)
    }

    fn counts(&self) -> Result<()> {
        let live = self.count("goroscope_goroutines")?;
        let created = self.count("goroscope_goroutines_created_total")?;
        let exited = self.count("goroscope_goroutines_exited_total")?;
        ensure!(exited <= created, "{exited} of {created} exited");
        ensure!((1..=created.min(MOST)).contains(&live), "{live} goroutines of {created} created");
        let processors = self.count("goroscope_gomaxprocs")?;
        ensure!(PROCESSORS.contains(&processors), "GOMAXPROCS {processors}");
        let threads = self.count("goroscope_threads")?;
        ensure!((1..1000).contains(&threads), "{threads} threads");
        Ok(())
    }

    /// All figures are exact when nothing happens any more.
    fn rests(&self, told: &Told, probes: &str) -> Result<()> {
        let seen = self.sum("goroscope_goroutines_by_state");
        ensure!(seen == told.num_goroutine, "{seen} goroutines seen, not {}", told.num_goroutine);
        let created = self.count("goroscope_goroutines_created_total")?;
        let exited = self.count("goroscope_goroutines_exited_total")?;
        let existing = seen + self.count("goroscope_system_goroutines")?;
        ensure!(created - exited == existing, "{created} created, {exited} ended, {existing} left");
        if probes == "always" {
            let drift = self.series("goroscope_count_drift_goroutines");
            let drift: Vec<f64> = drift.map(|sample| sample.value).collect();
            ensure!(drift == [0.0; 2], "the probes drift off: {drift:?}");
        }
        Ok(())
    }

    /// The last look at the goroutines makes sense in itself; gives how many it saw.
    fn groups(&self) -> Result<u64> {
        if self.series("goroscope_scan_timestamp_seconds").next().is_none() {
            return Ok(0);
        }
        for sample in self.series("goroscope_goroutines_by_state") {
            ensure!(STATES.contains(&sample.label("state")), "{sample:?}");
        }
        let user = self.sum("goroscope_goroutines_by_state");
        ensure!((1..MOST).contains(&user), "{user} goroutines in all states");
        let waiting = self
            .series("goroscope_goroutines_by_state")
            .filter(|sample| sample.label("state") == "waiting")
            .filter_map(Sample::count)
            .sum::<u64>();
        let by_reason = self.sum("goroscope_goroutines_waiting");
        ensure!(by_reason == waiting, "{waiting} wait, {by_reason} for something");
        let system = self.count("goroscope_system_goroutines")?;
        ensure!((1..64).contains(&system), "{system} goroutines of the runtime");
        let in_sites = self.sum("goroscope_site_goroutines");
        ensure!(
            in_sites == user + system,
            "{user} and {system} of the runtime, {in_sites} in sites"
        );
        Ok(user)
    }

    /// Each creation site is in the program.
    fn names(&self, functions: &BTreeSet<String>) -> Result<()> {
        let sites = self.samples().filter(|sample| sample.name.starts_with("goroscope_site_"));
        for sample in sites.filter(|sample| sample.labels.contains_key("created_by")) {
            let [creator, place, start] =
                ["created_by", "location", "start"].map(|key| sample.label(key));
            if [creator, place, start] == ["other"; 3] {
                continue;
            }
            ensure!(functions.contains(creator), "{creator:?} is no function: {sample:?}");
            ensure!(functions.contains(start), "{start:?} is no function: {sample:?}");
            let (file, line) = place.rsplit_once(':').with_context(|| format!("{sample:?}"))?;
            let line: u32 = line.parse().with_context(|| format!("{sample:?}"))?;
            // The main goroutine is started by assembly, in Go 1.19 through a wrapper.
            let source = file.ends_with(".go") || file.ends_with(".s") || file == "<autogenerated>";
            ensure!(source && line > 0, "{sample:?}");
        }
        Ok(())
    }
}
