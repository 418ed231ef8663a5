//! The agent with exactly what the DaemonSet gives it, made by runc as a container runtime would make
//! it, watches a Go program in another container.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    census::Census,
    container::Container,
    fixture::{self, Mode},
    kustomize::Kubectl,
    pod::{self, Pod},
    poll, prometheus, requires, skip_unless,
    toolchain::{Go, NEWEST},
};
use serde_json::{Value, json};

use crate::manifests::kubectl;

/// How long the agent may take to notice; generous, for a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn needs() -> Result<(), String> {
    kubectl().and_then(|_| requires::kernel()).and_then(|()| requires::go(NEWEST))
}

/// The agent of this overlay, and a program in another container; what the agent says of it is what
/// it says itself.
fn watches(folder: &str, probes: &str) -> Result<()> {
    let objects = Kubectl::of_debian()?.render(folder)?;
    let program = fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut target = Container::start(&program, &[])?;
    let pid = target.pid()?;
    let agent = Pod::start(&objects, &["--pid", &pid.to_string()])?;
    let mut watched = || {
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let answer = agent.get(&pod::probe(&objects, probe)?)?;
            ensure!(answer.status == 200, "{probe}: {}", answer.status);
        }
        has_just(&agent, &objects)?;
        let port = pod::probe(&objects, "startupProbe")?.0;
        let process = poll::until("the program is watched", SOON, || {
            let process = agent.process(port, pid)?;
            Ok(process.filter(|process| process.watch.probes == probes))
        })
        .with_context(|| format!("{:?}", agent.process(port, pid)))?;
        ensure!(process.watch.runtime == "ok", "{process:?}");
        let census = Census::take_after_more(target.speaker())?;
        let wanted = (Some(census.num_goroutine), census.created);
        poll::until("the agent says what the program says", SOON, || {
            let process = agent.process(port, pid)?.context("it is not known")?;
            Ok(((process.goroutines, process.created_total) == wanted).then_some(()))
        })
        .with_context(|| format!("{wanted:?}, {:?}", agent.process(port, pid)))?;
        let scrape = prometheus::parse(&agent.get(&(port, "/metrics".to_owned()))?.text()?)?;
        let own = pid.to_string();
        let delays = scrape.count("goroscope_thread_sched_delay_seconds_count", &[("pid", &own)]);
        ensure!(delays.is_ok_and(|count| count > 0) == (probes == "ok"), "delay of threads");
        Ok(())
    };
    watched().with_context(|| format!("{folder}: {}", agent.log()))?;
    let log = agent.log();
    let grace = pod::spec(&objects)?.get("terminationGracePeriodSeconds").and_then(Value::as_u64);
    let status = agent.end(Duration::from_secs(grace.context("no grace period")?))?;
    ensure!(status.success(), "it ended with {status}: {log}");
    Ok(())
}

/// The kernel says that the process has these rights and no others.
fn has_just(agent: &Pod, objects: &[Value]) -> Result<()> {
    let status = agent.status()?;
    let bits = |name: &str| -> Result<u64> {
        Ok(match name {
            "CAP_DAC_READ_SEARCH" => 1 << 2,
            "CAP_SYS_PTRACE" => 1 << 19,
            "CAP_SYS_ADMIN" => 1 << 21,
            "CAP_LEASE" => 1 << 28,
            "CAP_PERFMON" => 1 << 38,
            "CAP_BPF" => 1 << 39,
            other => anyhow::bail!("{other} has no number here"),
        })
    };
    let mut wanted = 0;
    for name in pod::capabilities(objects)? {
        wanted |= bits(&name)?;
    }
    for (field, wanted) in [
        ("CapEff", format!("{wanted:016x}")),
        ("CapBnd", format!("{wanted:016x}")),
        ("NoNewPrivs", "1".to_owned()),
        ("Seccomp", "2".to_owned()),
    ] {
        let own = status.get(field);
        ensure!(own == Some(&wanted), "{field} is {own:?}, not {wanted}");
    }
    Ok(())
}

#[test]
fn with_probes() -> Result<()> {
    skip_unless!("with_probes", needs());
    watches("overlays/probes-on", "ok")
}

#[test]
fn without_probes() -> Result<()> {
    skip_unless!("without_probes", needs());
    watches("overlays/probes-off", "off")
}

#[test]
fn with_the_filter_that_is_shipped() -> Result<()> {
    skip_unless!("with_the_filter_that_is_shipped", needs());
    watches("overlays/confined", "ok")
}

/// Without rights for probes the agent says so, and tells what the runtimes say all the same.
#[test]
fn probes_without_the_right_to_them() -> Result<()> {
    skip_unless!("probes_without_the_right_to_them", needs());
    let mut objects = Kubectl::of_debian()?.render("overlays/probes-on")?;
    let set = objects.iter_mut().find(|object| object.get("kind") == Some(&json!("DaemonSet")));
    let added = set
        .and_then(|set| {
            set.pointer_mut("/spec/template/spec/containers/0/securityContext/capabilities/add")
        })
        .context("no capabilities")?;
    *added = json!(["SYS_PTRACE", "DAC_READ_SEARCH"]);
    let program = fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?;
    let target = Container::start(&program, &[])?;
    let pid = target.pid()?;
    let agent = Pod::start(&objects, &["--pid", &pid.to_string()])?;
    let process = poll::until("the program is watched", SOON, || {
        Ok(agent.process(4676, pid)?.filter(|process| process.watch.runtime == "ok"))
    })?;
    ensure!(process.watch.probes != "ok", "{process:?}");
    ensure!(agent.log().contains("goroscope doctor"), "{}", agent.log());
    Ok(())
}
