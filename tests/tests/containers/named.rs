//! What the agent and `ps` call a process.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{Agent, PATIENCE},
    poll,
    prometheus::Scrape,
    workspace,
};
use serde_json::Value;

/// Names; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// What `ps` tells.
#[derive(Debug)]
pub(crate) struct OfPs {
    pub(crate) names: Names,
    pub(crate) container_id: Option<String>,
}

impl Names {
    pub(crate) fn new(namespace: &str, pod: &str, container: &str) -> Self {
        let [namespace, pod, container] = [namespace, pod, container].map(str::to_owned);
        Self { namespace, pod, container }
    }

    /// From the object `origin`.
    fn of(origin: &Value) -> Self {
        let name =
            |key: &str| origin.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { namespace: name("namespace"), pod: name("pod"), container: name("container") }
    }
}

/// The labels of a process's series; `None` where it has none.
pub(crate) fn labels(scrape: &Scrape, pid: u32) -> Option<Names> {
    let pid = pid.to_string();
    let labels = [("pid", pid.as_str())];
    let series = scrape.series("goroscope_threads", &labels).next()?;
    Some(Names::new(series.label("namespace"), series.label("pod"), series.label("container")))
}

/// Waits until the agent has these names of a process, in `/metrics` and in the API.
pub(crate) fn known(agent: &Agent, pid: u32, expected: &Names) -> Result<()> {
    let mut last = None;
    poll::until(&format!("process {pid} has its names"), PATIENCE, || {
        last = labels(&agent.scrape()?, pid);
        Ok((last.as_ref() == Some(expected)).then_some(()))
    })
    .with_context(|| {
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        format!("{expected:?}, not {last:?}; {cgroup}; log:\n{}", agent.log().join("\n"))
    })?;
    let processes: Vec<Value> = agent.json("/api/v1/processes")?;
    let process = processes.iter().find(|process| process["pid"] == pid);
    let origin = process.context("the API does not know it")?["origin"].clone();
    ensure!(Names::of(&origin) == *expected, "the API tells {origin} of process {pid}");
    Ok(())
}

/// What `ps` with these options tells of a process.
pub(crate) fn of_ps(options: &[String], pid: u32) -> Result<OfPs> {
    let mut command = Command::new(workspace::goroscope()?);
    command.args(["ps", "--output", "json"]).args(options).stdin(Stdio::null());
    let output = command.output().context("starting goroscope ps")?;
    let processes: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let process = processes.iter().find(|process| process["pid"] == pid);
    let origin = &process.with_context(|| format!("ps does not list {pid}"))?["origin"];
    let container_id = origin.get("container_id").and_then(Value::as_str).map(str::to_owned);
    Ok(OfPs { names: Names::of(origin), container_id })
}
