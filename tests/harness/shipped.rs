//! What `deploy` ships for Prometheus and Grafana, and the documents that belong to it, as the tests
//! read them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::workspace;

/// The boards' files below `deploy/grafana`.
pub const BOARDS: [&str; 2] = ["fleet.json", "process.json"];

/// A file of the workspace.
///
/// # Errors
/// Where it cannot be read.
pub fn read(path: &str) -> Result<String> {
    let path = workspace::root().join(path);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// A board of Grafana.
#[derive(Debug)]
pub struct Board {
    /// Name of the file.
    pub name: &'static str,
    /// The whole of it.
    pub json: Value,
}

impl Board {
    /// All boards.
    ///
    /// # Errors
    /// Where one cannot be read, or is no JSON.
    pub fn all() -> Result<Vec<Self>> {
        let board = |name| {
            let path = format!("deploy/grafana/{name}");
            let json = serde_json::from_str(&read(&path)?).with_context(|| path)?;
            Ok(Self { name, json })
        };
        BOARDS.into_iter().map(board).collect()
    }

    /// Panels that show something: all but headings of rows.
    #[must_use]
    pub fn panels(&self) -> Vec<&Value> {
        let panels = self.json.get("panels").and_then(Value::as_array).into_iter().flatten();
        panels.filter(|panel| panel.get("type").is_some_and(|kind| kind != "row")).collect()
    }

    /// The variables that can be chosen above the board.
    #[must_use]
    pub fn variables(&self) -> Vec<&Value> {
        let list = self.json.pointer("/templating/list").and_then(Value::as_array);
        list.into_iter().flatten().collect()
    }

    /// The queries of its panels and of its variables.
    ///
    /// # Errors
    /// Where a panel has none, or it is not written as expected.
    pub fn queries(&self) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            let title = text(panel, "/title")?;
            let targets = panel.get("targets").and_then(Value::as_array);
            for target in targets.with_context(|| format!("{title:?} has no targets"))? {
                queries.push(Query {
                    place: format!("{}, {title:?} {}", self.name, text(target, "/refId")?),
                    expression: text(target, "/expr")?.to_owned(),
                });
            }
        }
        for variable in self.variables() {
            if text(variable, "/type")? != "query" {
                continue;
            }
            let definition = text(variable, "/query/query")?;
            let inner = definition.strip_prefix("label_values(").and_then(|x| x.strip_suffix(')'));
            let (series, label) = inner
                .and_then(|inner| inner.rsplit_once(','))
                .with_context(|| format!("{}: {definition:?} lists no label", self.name))?;
            queries.push(Query {
                place: format!("{}, variable {}", self.name, text(variable, "/name")?),
                expression: format!("group by ({}) ({series})", label.trim()),
            });
        }
        Ok(queries)
    }
}

/// The string at this place of a JSON value.
///
/// # Errors
/// Where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.filter(|text| !text.trim().is_empty()).with_context(|| {
        let title = value.get("title").unwrap_or(&Value::Null);
        format!("no text at {pointer} (panel {title})")
    })
}

/// An expression, and where it stands.
#[derive(Clone, Debug)]
pub struct Query {
    /// For messages.
    pub place: String,
    /// PromQL, with Grafana's variables or the placeholders of the runbooks.
    pub expression: String,
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// A rule: it records a series, or alerts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the series.
    pub record: Option<String>,
    /// Name of the alert.
    pub alert: Option<String>,
    /// PromQL.
    pub expr: String,
    /// How long the condition must hold.
    pub r#for: Option<String>,
    /// Added to the series' own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Texts, with templates.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// All rules of `deploy/prometheus/goroscope.rules.yml`.
///
/// # Errors
/// Where the file cannot be read, or is no file of rules.
pub fn rules() -> Result<Vec<Rule>> {
    let path = "deploy/prometheus/goroscope.rules.yml";
    let file: RuleFile = serde_norway::from_str(&read(path)?).context(path)?;
    Ok(file.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// Files of a folder of the workspace with this ending, in order.
///
/// # Errors
/// Where the folder cannot be read.
pub fn files(folder: &str, ending: &str) -> Result<Vec<PathBuf>> {
    let path = workspace::root().join(folder);
    let entries = fs::read_dir(&path).with_context(|| format!("listing {}", path.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own == ending) {
            files.push(path);
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "{} has no .{ending}", path.display());
    Ok(files)
}

/// The queries in the blocks marked `promql` of a document; each line is one.
///
/// # Errors
/// Where a block has no end.
pub fn queries_of_document(place: &str, document: &str) -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "```promql" {
            continue;
        }
        loop {
            match lines.next().map(str::trim) {
                None => bail!("{place}: a block has no end"),
                Some("```") => break,
                Some(line) if line.is_empty() || line.starts_with('#') => {}
                Some(line) => {
                    queries.push(Query { place: place.to_owned(), expression: line.to_owned() })
                }
            }
        }
    }
    Ok(queries)
}

/// Names and types of the metrics in `docs/metrics.md`.
///
/// # Errors
/// Where it cannot be read.
pub fn documented_metrics() -> Result<BTreeMap<String, String>> {
    let document = read("docs/metrics.md")?;
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| {
        let (name, rest) = row.split_once('`')?;
        Some((name.to_owned(), rest.split('|').nth(1)?.trim().to_owned()))
    });
    let metrics: BTreeMap<String, String> = cells.collect();
    ensure!(metrics.len() > 20, "docs/metrics.md has {} metrics", metrics.len());
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_documents_are_one_to_a_line() {
        let document = "text\n```promql\n# What.\nup == 0\n\nrate(a[5m])\n```\n```sh\nls\n```\n";
        let queries = queries_of_document("x.md", document).unwrap();
        let found: Vec<&str> = queries.iter().map(|query| query.expression.as_str()).collect();
        assert_eq!(found, ["up == 0", "rate(a[5m])"]);
        assert!(queries_of_document("x.md", "```promql\nup").is_err());
    }
}
