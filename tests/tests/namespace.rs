//! An agent in a pid namespace of its own: ids differ from the kernel's, and it watches, without a
//! selection, just what is in there.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    fixture::{self, Mode},
    poll, requires,
    sites::Sum,
    skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};

/// The command in pid and mount namespaces of its own, which end with it.
fn unshared(inner: &Command) -> Command {
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.stdin(std::process::Stdio::null());
    outer.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    outer
}

/// The only child of a process.
fn child(pid: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    children.split_whitespace().next().context("unshare has no child")?.parse().context("a pid")
}

#[test]
fn a_namespace_of_its_own_is_watched_whole_and_exactly() -> Result<()> {
    const NAME: &str = "a_namespace_of_its_own_is_watched_whole_and_exactly";
    skip_unless!(NAME, requires::kernel());
    skip_unless!(NAME, requires::command("unshare"));
    skip_unless!(NAME, requires::command("nsenter"));
    let path = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    // One of the same binary outside, which must not be seen.
    let outside = Speaker::start(&path, &["churn"])?;
    let options = ["--probes", "always"];
    let agent = Agent::start_command(&mut unshared(&agent::command(&options)?))?;
    let inner = child(agent.pid())?;
    let mut target = Speaker::start_command(
        Command::new("nsenter")
            .args(["--target", &inner.to_string(), "--pid", "--mount", "--"])
            .arg(&path)
            .arg("churn"),
    )?;
    let process = poll::until("the program is probed", Duration::from_secs(10), || {
        let found = agent.processes()?.into_iter().find(|process| process.watch.probes == "ok");
        Ok(found)
    })?;
    ensure!(process.pid < 1000, "pid {} is not one of the namespace", process.pid);
    ensure!(process.pid != outside.pid(), "the agent sees out of its namespace");
    let users = || Ok::<_, anyhow::Error>(Sum::of(&agent.sites(process.pid)?, |site| !site.system));
    let before = users()?;
    let report = target.work()?;
    let expected = Sum { created: report.created, exited: report.exited };
    poll::until("the counts settle", Duration::from_secs(3), || {
        Ok((users()?.since(before) == expected).then_some(()))
    })
    .with_context(|| format!("the program says {expected:?}, the probes {:?}", users()))?;
    let switches = agent.scrape()?.count(
        "goroscope_thread_switches_total",
        &[("pid", &process.pid.to_string()), ("kind", "voluntary")],
    )?;
    ensure!(switches > 0, "its threads are not followed");
    ensure!(agent.processes()?.len() == 1, "more than the namespace: {:?}", agent.processes()?);
    target.quit()?;
    outside.quit()?;
    Ok(())
}
