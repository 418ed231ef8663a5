//! The agent's examples, which measure its stages from within.

use std::{ffi::OsStr, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use goroscope_tests::workspace;
use serde_json::Value;

use crate::command;

/// Builds an example of the agent and gives its path.
pub(super) fn build(name: &str) -> Result<PathBuf> {
    let options = ["build", "--release", "-p", "goroscope", "--example", name];
    command::run(command::cargo().args(options))?;
    Ok(workspace::target().join("release/examples").join(name))
}

/// Runs it, and gives the object that it prints.
pub(super) fn run(
    path: &PathBuf,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Value> {
    let text = command::output(Command::new(path).args(arguments))?;
    serde_json::from_str(&text).with_context(|| format!("{} printed {text:?}", path.display()))
}

/// A number of the object, by its path: `/seconds/inspect`.
pub(super) fn number(object: &Value, path: &str) -> Result<f64> {
    let value = object.pointer(path).and_then(Value::as_f64);
    value.with_context(|| format!("no number {path} in {object}"))
}

/// Numbers of the object, likewise.
pub(super) fn numbers(object: &Value, path: &str) -> Result<Vec<f64>> {
    let values = object.pointer(path).and_then(Value::as_array);
    let values = values.with_context(|| format!("no numbers {path} in {object}"))?;
    Ok(values.iter().filter_map(Value::as_f64).collect())
}
