//! The configuration and the arguments are ones that the agent takes, and the probes are answered.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    chart,
    fixture::{self, Mode},
    http,
    kustomize::Kubectl,
    pod, requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    workspace,
};
use serde_json::{Value, json};

use crate::manifests::kubectl;

/// Starts the agent with the pod's arguments and configuration, but on another address and told to
/// watch one process only, and asks what the kubelet asks.
fn starts(objects: &[Value], pid: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("goroscope.yaml");
    let text = pod::configuration(objects)?;
    fs::write(&file, text)?;
    let arguments = pod::container(objects)?.get("args").and_then(Value::as_array);
    let arguments: Vec<&str> =
        arguments.context("no arguments")?.iter().filter_map(Value::as_str).collect();
    ensure!(arguments.contains(&"--config=/etc/goroscope/goroscope.yaml"), "{arguments:?}");
    let mut command = Command::new(workspace::goroscope()?);
    for argument in &arguments {
        match argument.strip_prefix("--config=") {
            Some(_) => command.arg("--config").arg(&file),
            None => command.arg(argument),
        };
    }
    // Of the configuration this replaces the address only.
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--pid", &pid.to_string()]);
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let agent = Agent::start_command(&mut command).with_context(|| text.to_owned())?;
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let (_, path) = pod::probe(objects, probe)?;
        let answer = http::get(agent.address(), &path, &[])?;
        ensure!(answer.status == 200, "{probe}: {path}: {}", answer.status);
    }
    agent.wait_read(pid).map(drop)
}

#[test]
fn the_agent_takes_its_configuration() -> Result<()> {
    const NAME: &str = "the_agent_takes_its_configuration";
    skip_unless!(
        NAME,
        kubectl().and_then(|_| requires::kernel()).and_then(|()| requires::go(NEWEST))
    );
    let census = fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?;
    let target = Speaker::start(&census, &[] as &[&str])?;
    for folder in ["base", "overlays/probes-on"] {
        let objects = Kubectl::of_debian()?.render(folder)?;
        starts(&objects, target.pid()).with_context(|| folder.to_owned())?;
    }
    let further = json!({ "config": { "top_sites": 20, "exclude_exe": ["/usr/bin/*"] } });
    starts(&chart::render(&further)?.objects, target.pid()).context("the chart")
}
