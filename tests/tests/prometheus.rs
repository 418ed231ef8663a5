//! What is shipped for Prometheus and Grafana, with a real Prometheus that scrapes a real agent: every
//! query of every panel, rule and runbook gives data.
//!
//! Conditions of alerts are rightly false most of the time. They are asked with each comparison made
//! to give 0 or 1, so that they have data exactly where the series that they are about have.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    elf::{self, Lie},
    fixture::{self, Mode},
    poll,
    process::Guard,
    prometheus_server::{self, PrometheusServer},
    promql, requires,
    shipped::{self, Board, Query},
    skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    workspace,
};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// A leak is confirmed after three quarters of a minute; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// An evaluation of the rules; generous, too.
const EVALUATED: Duration = Duration::from_secs(20);
/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(500);
const LEAKED_A_SECOND: &str = "20";
/// The interval in the shipped example, and the one here.
const INTERVALS: [(&str, &str); 2] = [
    ("scrape_interval: 15s", "scrape_interval: 1s"),
    ("evaluation_interval: 15s", "evaluation_interval: 1s"),
];
/// What Grafana puts in for its variables, where intervals are as here.
const GRAFANA: [(&str, &str); 3] =
    [("$__rate_interval", "15s"), ("$__range", "1m"), ("$__interval", "5s")];

fn ready() -> Result<(), String> {
    let prometheus = || prometheus_server::program("prometheus").map_err(|e| format!("{e:#}"));
    requires::kernel().and_then(|()| requires::go(NEWEST)).and_then(|()| prometheus().map(drop))
}

/// Runs `promtool`, which says what is wrong with a file.
fn promtool(arguments: &[&str], files: &[&Path]) -> Result<()> {
    let output = Command::new(prometheus_server::program("promtool")?)
        .args(arguments)
        .args(files)
        .output()
        .context("starting promtool")?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(())
}

fn deployed(name: &str) -> std::path::PathBuf {
    workspace::root().join("deploy/prometheus").join(name)
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() -> Result<()> {
    const NAME: &str = "promtool_accepts_the_rules_and_their_tests_pass";
    skip_unless!(
        NAME,
        prometheus_server::program("promtool").map(drop).map_err(|error| format!("{error:#}"))
    );
    promtool(&["check", "config"], &[&deployed("prometheus.yml")])?;
    promtool(&["check", "rules"], &[&deployed("goroscope.rules.yml")])?;
    let tests = shipped::files("deploy/prometheus/tests", "yml")?;
    promtool(&["test", "rules"], &tests.iter().map(|path| path.as_path()).collect::<Vec<_>>())
}

/// What the program that leaks says of itself.
#[derive(Deserialize)]
struct Leaky {
    leak: Place,
}

/// Where goroutines are created.
#[derive(Deserialize)]
struct Place {
    created_by: String,
    line: u32,
}

/// One program that leaks, one whose probes cost too much, one that cannot be watched.
struct Targets {
    leaks: Speaker,
    leak: Place,
    waves: Speaker,
    liar: Guard,
}

impl Targets {
    fn start(folder: &TempDir) -> Result<Self> {
        let go = Go::find(NEWEST)?;
        let copy = |name: &str| -> Result<_> {
            let path = folder.path().join(name);
            fs::copy(fixture::build(name, &go, Mode::Normal)?, &path)?;
            Ok(path)
        };
        // It collects often, so that there are pauses to speak of.
        let mut leaks = Speaker::spawn(
            Command::new(copy("leaks")?).args(["range", LEAKED_A_SECOND]).env("GOGC", "1"),
        )?;
        let Leaky { leak } = leaks.hear()?;
        leaks.say("leak")?;
        let waves = Speaker::start(&copy("waves")?, &[] as &[&str])?;
        let path = folder.path().join("liar");
        elf::write(&path, Lie::CorruptPclntab)?;
        let liar = Guard::start(&mut Command::new(path))?;
        Ok(Self { leaks, leak, waves, liar })
    }

    /// Their names and ids.
    fn list(&self) -> [(&'static str, u32); 3] {
        [("leaks", self.leaks.pid()), ("waves", self.waves.pid()), ("liar", self.liar.pid())]
    }
}

/// A query as it is asked: it must have data in one of these forms.
struct Question {
    query: Query,
    forms: Vec<String>,
    waits_for_leak: bool,
    last: String,
}

impl Question {
    fn new(query: Query, forms: Vec<String>) -> Self {
        // The judge takes its time.
        let waits_for_leak = query.expression.contains("leak_goroutines");
        Self { query, forms, waits_for_leak, last: "not asked".to_owned() }
    }

    fn has_data(&mut self, prometheus: &PrometheusServer) -> bool {
        let mut last = String::new();
        for form in &self.forms {
            match prometheus.query(form) {
                Ok(values) if values.is_empty() => last = format!("no data: {form}"),
                Ok(_) => return true,
                Err(error) => last = format!("{error:#}: {form}"),
            }
        }
        self.last = last;
        false
    }
}

/// All that is shipped, ready to be asked.
fn questions(targets: &Targets, instance: &str) -> Result<Vec<Question>> {
    let replaced = |text: &str, by: &[(&str, &str)]| {
        by.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let mut questions = Vec::new();
    for query in Board::all()?.iter().map(Board::queries).collect::<Result<Vec<_>>>()?.concat() {
        let expression = replaced(&query.expression, &GRAFANA);
        let of_all =
            [("\"$instance\"", "\".*\""), ("\"$namespace\"", "\".*\""), ("\"$exe\"", "\".*\"")];
        let of_one = targets.list().map(|(name, pid)| {
            replaced(
                &expression,
                &[("$instance", instance), ("$exe", name), ("$pid", &pid.to_string())],
            )
        });
        let forms = if query.place.starts_with("fleet.json") {
            vec![replaced(&expression, &of_all)]
        } else {
            of_one.to_vec()
        };
        for form in &forms {
            ensure!(!form.contains('$'), "{}: an unknown variable: {form}", query.place);
        }
        questions.push(Question::new(query, forms));
    }
    for rule in shipped::rules()? {
        let name = rule.alert.or(rule.record).unwrap_or_default();
        let form = promql::without_conditions(&rule.expr);
        let query = Query { place: format!("rule {name}"), expression: rule.expr };
        questions.push(Question::new(query, vec![form]));
        // What is recorded is there to be read.
        if name.contains(':') {
            let query = Query { place: format!("record {name}"), expression: name.clone() };
            questions.push(Question::new(query, vec![name]));
        }
    }
    let places =
        ["HOST:4676", "NAME", "PID"].map(|placeholder| (format!("=\"{placeholder}\""), "=~\".*\""));
    let places: Vec<(&str, &str)> = places.iter().map(|(from, to)| (from.as_str(), *to)).collect();
    for path in shipped::files("docs/runbooks", "md")? {
        let place = path.file_name().map_or_else(String::new, |name| name.display().to_string());
        for query in shipped::queries_of_document(&place, &fs::read_to_string(&path)?)? {
            let form = promql::without_conditions(&replaced(&query.expression, &places));
            questions.push(Question::new(query, vec![form]));
        }
    }
    Ok(questions)
}

/// Asks again and again until all have had data, and lets the storm end when only those that wait
/// for verdicts are left.
fn ask_all(
    prometheus: &PrometheusServer,
    mut open: Vec<Question>,
    waves: &mut Speaker,
) -> Result<()> {
    ensure!(open.len() > 100, "{} queries", open.len());
    let deadline = Instant::now() + PATIENCE;
    let mut storming = true;
    while !open.is_empty() {
        open.retain_mut(|question| !question.has_data(prometheus));
        if storming && open.iter().all(|question| question.waits_for_leak) {
            waves.say("calm")?;
            storming = false;
        }
        let left: Vec<_> =
            open.iter().map(|open| format!("{}: {}", open.query.place, open.last)).collect();
        ensure!(Instant::now() < deadline, "without data after {PATIENCE:?}:\n{}", left.join("\n"));
        thread::sleep(PAUSE);
    }
    Ok(())
}

#[test]
fn every_query_of_panels_rules_and_runbooks_gives_data() -> Result<()> {
    const NAME: &str = "every_query_of_panels_rules_and_runbooks_gives_data";
    skip_unless!(NAME, ready());
    let folder = tempfile::tempdir()?;
    let mut targets = Targets::start(&folder)?;
    let glob = folder.path().join("*").display().to_string();
    // One that never answers, so that there are failures to speak of.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let alertmanager = format!("http://{}", silent.local_addr()?);
    let agent = Agent::start(&["--exe", &glob, "--alertmanager", &alertmanager])?;
    let instance = agent.address().to_string();
    let mut config = fs::read_to_string(deployed("prometheus.yml"))?;
    for (from, to) in INTERVALS.into_iter().chain([("127.0.0.1:4676", instance.as_str())]) {
        ensure!(config.contains(from), "the example has no {from}");
        config = config.replace(from, to);
    }
    let prometheus = PrometheusServer::start(&config, &[&deployed("goroscope.rules.yml")])?;
    targets.waves.say("storm")?;
    ask_all(&prometheus, questions(&targets, &instance)?, &mut targets.waves)
        .with_context(|| format!("the agent's log:\n{}", agent.log().join("\n")))?;
    is_healthy(&prometheus)?;
    // The alert on the leak waits for its minute, and names the place.
    let Place { created_by, line } = &targets.leak;
    let pending = format!(
        "ALERTS{{alertname=\"GoroscopeLeakConfirmed\",exe=\"leaks\",created_by=\"{created_by}\",\
         location=~\".*:{line}\"}}"
    );
    // The rules are evaluated after the scrape that has the verdict.
    poll::until("the alert is pending", EVALUATED, || {
        let values = prometheus.query(&pending)?;
        Ok((values == [1.0]).then_some(()))
    })?;
    let of_others = prometheus.query("goroscope_leak_goroutines{exe!=\"leaks\"}")?;
    ensure!(of_others.is_empty(), "leaks where there are none: {of_others:?}");
    Ok(())
}

/// Prometheus has taken the target, and evaluates each rule without an error.
fn is_healthy(prometheus: &PrometheusServer) -> Result<()> {
    let targets = prometheus.api("/api/v1/targets?state=active")?;
    let active = targets.get("activeTargets").and_then(Value::as_array).context("no targets")?;
    for target in active {
        ensure!(shipped::text(target, "/health")? == "up", "{target}");
    }
    ensure!(active.len() == 1, "{} targets", active.len());
    let rules = prometheus.api("/api/v1/rules")?;
    let groups = rules.get("groups").and_then(Value::as_array).context("no groups")?;
    let rules: Vec<&Value> = groups
        .iter()
        .filter_map(|group| group.get("rules").and_then(Value::as_array))
        .flatten()
        .collect();
    ensure!(rules.len() == shipped::rules()?.len(), "{} rules are loaded", rules.len());
    for rule in rules {
        ensure!(shipped::text(rule, "/health")? == "ok", "{rule}");
    }
    Ok(())
}
