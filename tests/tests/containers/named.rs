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
        let name = |key| text(origin, key).to_owned();
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
    let origin = origin_of(&processes, pid).context("the API does not know it")?;
    ensure!(Names::of(origin) == *expected, "the API tells {origin} of process {pid}");
    Ok(())
}

/// The object `origin` of a process.
fn origin_of(processes: &[Value], pid: u32) -> Option<&Value> {
    let is_it = |process: &&Value| process.get("pid").is_some_and(|found| *found == pid);
    processes.iter().find(is_it)?.get("origin")
}

/// A text in a JSON object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What `ps` with these options tells of a process.
pub(crate) fn of_ps(options: &[String], pid: u32) -> Result<OfPs> {
    let mut command = Command::new(workspace::goroscope()?);
    command.args(["ps", "--output", "json"]).args(options).stdin(Stdio::null());
    let output = command.output().context("starting goroscope ps")?;
    let processes: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let origin = origin_of(&processes, pid).with_context(|| format!("ps does not list {pid}"))?;
    let container_id = Some(text(origin, "container_id").to_owned()).filter(|id| !id.is_empty());
    Ok(OfPs { names: Names::of(origin), container_id })
}
