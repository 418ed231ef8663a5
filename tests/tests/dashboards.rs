//! The boards and rules in `deploy` are whole: what they name exists, what they show is explained,
//! what alerts is documented and tested. Whether they give data is tested with a real Prometheus, in
//! `prometheus.rs`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    promql,
    shipped::{self, Board, Rule, text},
    workspace,
};
use serde::Deserialize;
use serde_json::Value;

/// A series of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
const PANELS: [&str; 4] = ["timeseries", "stat", "table", "heatmap"];
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];
/// What each runbook answers.
const HEADINGS: [&str; 4] = ["What it means", "How to look", "What to do", "What it is not"];
/// Width of a board.
const COLUMNS: u64 = 24;

#[test]
fn every_panel_is_explained_and_has_a_unit_and_queries() -> Result<()> {
    for board in Board::all()? {
        let panels = board.panels();
        ensure!(panels.len() > 10, "{} has {} panels", board.name, panels.len());
        for panel in panels {
            let title = text(panel, "/title").with_context(|| board.name)?;
            let checked = || {
                text(panel, "/description")?;
                text(panel, "/fieldConfig/defaults/unit")?;
                let kind = text(panel, "/type")?;
                ensure!(PANELS.contains(&kind), "it is a {kind}");
                if kind == "heatmap" {
                    text(panel, "/options/yAxis/unit")?;
                }
                let targets = panel.get("targets").and_then(Value::as_array);
                let targets =
                    targets.filter(|targets| !targets.is_empty()).context("no queries")?;
                let names = targets.iter().map(|target| text(target, "/refId"));
                let names = names.collect::<Result<BTreeSet<_>>>()?;
                ensure!(names.len() == targets.len(), "two queries have one name");
                for target in targets {
                    text(target, "/expr")?;
                    is_templated(target)?;
                }
                is_templated(panel)
            };
            checked().with_context(|| format!("{}, {title:?}", board.name))?;
        }
    }
    Ok(())
}

/// No data source of a certain installation is named.
fn is_templated(value: &Value) -> Result<()> {
    let uid = text(value, "/datasource/uid")?;
    ensure!(uid == "${datasource}", "the data source is {uid:?}");
    ensure!(text(value, "/datasource/type")? == "prometheus");
    Ok(())
}

#[test]
fn the_data_source_can_be_chosen_and_variables_are_used() -> Result<()> {
    for board in Board::all()? {
        let first = board.variables().first().copied().context("no variables")?;
        ensure!(text(first, "/name")? == "datasource" && text(first, "/type")? == "datasource");
        let queries = board.queries()?;
        for variable in board.variables().into_iter().skip(1) {
            let name = text(variable, "/name")?;
            is_templated(variable).with_context(|| format!("{}: {name}", board.name))?;
            let named = format!("${name}\"");
            let used = queries.iter().any(|query| query.expression.contains(&named));
            ensure!(used, "{}: no query has {named}", board.name);
        }
    }
    Ok(())
}

#[test]
fn boards_have_identities_and_panels_do_not_overlap() -> Result<()> {
    let mut boards = BTreeSet::new();
    for board in Board::all()? {
        ensure!(boards.insert(text(&board.json, "/uid")?.to_owned()), "two boards have one uid");
        ensure!(board.json.get("id").is_none(), "{}: an id of one installation", board.name);
        let version = board.json.get("schemaVersion").and_then(Value::as_u64);
        ensure!(version.is_some_and(|version| version >= 36), "{}: {version:?}", board.name);
        let panels = board.json.get("panels").and_then(Value::as_array).context("no panels")?;
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels {
            let id = panel.get("id").and_then(Value::as_u64).context("a panel without id")?;
            ensure!(ids.insert(id), "{}: two panels have the id {id}", board.name);
            let at = |name: &str| panel.pointer(&format!("/gridPos/{name}"))?.as_u64();
            let place = (|| Some((at("x")?, at("y")?, at("w")?, at("h")?)))();
            let (x, y, w, h) = place.with_context(|| format!("panel {id} has no place"))?;
            ensure!(x + w <= COLUMNS, "{}: panel {id} is too far right", board.name);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                ensure!(taken.insert(cell), "{}: panel {id} overlaps", board.name);
            }
        }
    }
    Ok(())
}

/// A fixed range would be empty, or blurred, at other scrape intervals and other zooms.
#[test]
fn boards_look_back_as_far_as_grafana_says() -> Result<()> {
    for query in Board::all()?.iter().map(Board::queries).collect::<Result<Vec<_>>>()?.concat() {
        for range in promql::ranges(&query.expression) {
            let known = ["$__rate_interval", "$__range"].contains(&range);
            ensure!(known, "{}: [{range}]", query.place);
        }
    }
    Ok(())
}

#[test]
fn every_metric_that_is_named_exists() -> Result<()> {
    let mut known: BTreeSet<String> = OF_PROMETHEUS.map(str::to_owned).into();
    for (name, kind) in shipped::documented_metrics()? {
        if kind == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
        } else {
            known.insert(name);
        }
    }
    let mut named = BTreeMap::new();
    for board in Board::all()? {
        for query in board.queries()? {
            // They work without the rules.
            named.insert(query.place, query.expression);
        }
    }
    for (place, expression) in &named {
        all_known(place, expression, &known)?;
    }
    let rules = shipped::rules()?;
    known.extend(rules.iter().filter_map(|rule| rule.record.clone()));
    for rule in &rules {
        all_known("goroscope.rules.yml", &rule.expr, &known)?;
    }
    for path in shipped::files("docs/runbooks", "md")? {
        let name = path.display().to_string();
        let document = std::fs::read_to_string(&path)?;
        for query in shipped::queries_of_document(&name, &document)? {
            all_known(&name, &query.expression, &known)?;
        }
        // Those in the text and in the commands too.
        let words = document.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
        for word in words.filter(|word| word.starts_with("goroscope_")) {
            ensure!(
                known.contains(word) || known.contains(&format!("{word}_bucket")),
                "{name}: {word} does not exist"
            );
        }
    }
    Ok(())
}

fn all_known(place: &str, expression: &str, known: &BTreeSet<String>) -> Result<()> {
    let names = promql::metrics(expression);
    ensure!(!names.is_empty(), "{place}: {expression} names no metric");
    for name in names {
        ensure!(known.contains(&name), "{place}: {name} does not exist: {expression}");
    }
    Ok(())
}

fn alerts() -> Result<Vec<(String, Rule)>> {
    let alerts = shipped::rules()?.into_iter();
    let alerts: Vec<_> = alerts.filter_map(|rule| Some((rule.alert.clone()?, rule))).collect();
    ensure!(alerts.len() > 10, "{} alerts", alerts.len());
    Ok(alerts)
}

/// Where the repository is said to be: in one line of `Cargo.toml`.
fn repository() -> Result<String> {
    let manifest = shipped::read("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = "));
    Ok(line.context("Cargo.toml names no repository")?.trim_matches('"').to_owned())
}

#[test]
fn every_alert_says_what_to_do() -> Result<()> {
    let base = repository()?;
    let table = shipped::read("deploy/prometheus/README.md")?;
    let mut pages = BTreeSet::new();
    for (name, rule) in alerts()? {
        let checked = || {
            let severity = rule.labels.get("severity").context("no severity")?;
            ensure!(SEVERITIES.contains(&severity.as_str()), "severity {severity}");
            let lasts = rule.r#for.as_deref().context("no `for`")?;
            let said =
                |what: &str| rule.annotations.get(what).with_context(|| format!("no {what}"));
            let (summary, description) = (said("summary")?, said("description")?);
            let labels = if rule.expr.contains("absent(") { "" } else { "$labels." };
            ensure!(summary.contains(labels) && description.contains(labels), "of whom?");
            if rule.expr.contains("leak") || rule.expr.contains("site:") {
                for label in ["created_by", "location"] {
                    let named = format!("$labels.{label}");
                    ensure!(summary.contains(&named) && description.contains(&named), "{label}");
                }
            }
            ensure!(!description.contains("$value }"), "a value that nobody can read");
            let url = format!("{base}/blob/main/docs/runbooks/{name}.md");
            ensure!(said("runbook_url")? == &url, "its runbook is not at {url}");
            let condition = rule.expr.split_whitespace().collect::<Vec<_>>().join(" ");
            let row = format!("| `{name}` | {severity} | `{condition}` | {lasts} |");
            ensure!(table.contains(&row), "deploy/prometheus/README.md does not have {row}");
            let page = shipped::read(&format!("docs/runbooks/{name}.md"))?;
            ensure!(page.starts_with(&format!("# {name}\n")), "its page has another title");
            for heading in HEADINGS {
                ensure!(page.contains(&format!("\n## {heading}\n")), "no {heading:?}");
            }
            let queries = shipped::queries_of_document(&name, &page)?;
            ensure!(!queries.is_empty() || page.contains("```sh\n"), "its page shows nothing");
            Ok(())
        };
        checked().with_context(|| name.clone())?;
        pages.insert(workspace::root().join(format!("docs/runbooks/{name}.md")));
    }
    let there: BTreeSet<_> = shipped::files("docs/runbooks", "md")?.into_iter().collect();
    ensure!(there == pages, "not of an alert: {:?}", there.difference(&pages));
    Ok(())
}

#[derive(Deserialize)]
struct RuleTests {
    tests: Vec<RuleTest>,
}

#[derive(Deserialize)]
struct RuleTest {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<serde_norway::Value>,
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() -> Result<()> {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for path in shipped::files("deploy/prometheus/tests", "yml")? {
        let content = std::fs::read_to_string(&path)?;
        let file: RuleTests =
            serde_norway::from_str(&content).with_context(|| path.display().to_string())?;
        for test in file.tests.into_iter().flat_map(|test| test.alert_rule_test) {
            let list = if test.exp_alerts.is_empty() { &mut silent } else { &mut fires };
            list.insert(test.alertname);
        }
    }
    for (name, _) in alerts()? {
        ensure!(fires.contains(&name), "{name} is never expected to fire");
        ensure!(silent.contains(&name), "{name} is never expected to be silent");
    }
    Ok(())
}
