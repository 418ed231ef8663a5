//! A full table is a counted loss, never a silent one: what has no room is missing where it is
//! named, and counted.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires,
    sites::Sum,
    skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};

/// Losses of one kind.
fn lost(agent: &Agent, source: &str) -> Result<u64> {
    agent.scrape()?.count("goroscope_events_lost_total", &[("source", source)])
}

#[test]
fn sites_without_room_are_counted_for_the_process() -> Result<()> {
    skip_unless!("sites_without_room_are_counted_for_the_process", requires::kernel());
    let path = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut target = Speaker::start(&path, &["gc"])?;
    let pid = target.pid();
    // Room for one site; the program has one of its own, and the collector's workers are another.
    let agent =
        Agent::start(&["--pid", &pid.to_string(), "--max-sites", "1", "--probes", "always"])?;
    agent.wait_probed(pid)?;
    let report = target.work()?;
    let label = pid.to_string();
    let total = |name| agent.scrape()?.count(name, &[("pid", label.as_str())]);
    poll::until("sites are lost", Duration::from_secs(3), || {
        Ok((lost(&agent, "sites")? > 0).then_some(()))
    })?;
    let hits = total("goroscope_probe_hits_total")?;
    let in_sites = Sum::of(&agent.sites(pid)?, |_| true);
    let losses = total("goroscope_site_events_lost_total")?;
    ensure!(hits >= report.created + report.exited, "{hits} births and deaths, {report:?}");
    ensure!(
        hits == in_sites.created + in_sites.exited + losses,
        "{hits} births and deaths, {in_sites:?} in sites, {losses} without room"
    );
    ensure!(losses == lost(&agent, "sites")?, "the losses of the only process are all losses");
    target.quit()?;
    Ok(())
}

#[test]
fn a_process_without_room_says_so_and_the_others_are_counted() -> Result<()> {
    skip_unless!("a_process_without_room_says_so_and_the_others_are_counted", requires::kernel());
    let path = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut targets = [Speaker::start(&path, &["churn"])?, Speaker::start(&path, &["churn"])?];
    let pids = [targets[0].pid(), targets[1].pid()];
    let mut options: Vec<String> =
        ["--probes", "always", "--max-processes", "1", "--scan-interval", "1s"]
            .map(str::to_owned)
            .into();
    for pid in pids {
        options.extend(["--pid".to_owned(), pid.to_string()]);
    }
    let agent = Agent::start(&options)?;
    let watches = poll::until("both are known", Duration::from_secs(5), || {
        let processes = agent.processes()?;
        Ok((processes.len() == 2).then_some(processes))
    })?;
    let (fine, full): (Vec<_>, Vec<_>) =
        watches.into_iter().partition(|process| process.watch.probes == "ok");
    ensure!(fine.len() == 1 && full.len() == 1, "{fine:?} {full:?}");
    ensure!(full[0].watch.probes.contains("--max-processes"), "{full:?}");
    let watched = fine[0].pid;
    let target = targets.iter_mut().find(|target| target.pid() == watched);
    let report = target.context("it is one of ours")?.work()?;
    let born = Sum::of(&agent.sites(watched)?, |_| true).created;
    ensure!(born >= report.created, "{born} of {} births", report.created);
    // When the one ends there is room for the other, at the next scan.
    let waiting = full[0].pid;
    let [first, second] = targets;
    let (ends, stays) = if first.pid() == watched { (first, second) } else { (second, first) };
    ends.quit()?;
    let taken_on = agent.wait_probed(waiting)?;
    ensure!(taken_on.pid == stays.pid(), "{taken_on:?}");
    stays.quit()?;
    Ok(())
}
