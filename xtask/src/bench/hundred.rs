//! What the agent itself uses with a hundred processes to watch.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use goroscope_tests::{agent::Agent, fixture, poll, proc, speaker::Speaker};

use super::program;

const PROCESSES: usize = 100;
/// Scrapes come every five seconds, twice as often as most are configured.
const SCRAPES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(5);

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let path = program("ticking")?;
    let mut targets = Vec::new();
    for _ in 0..PROCESSES {
        targets.push(Speaker::start(&path, &[] as &[&str])?);
    }
    let glob = fixture::built()?.join("**/ticking");
    let agent = Agent::start(&["--exe", glob.to_str().context("not UTF-8")?])?;
    poll::until("all are probed", Duration::from_secs(60), || {
        let processes = agent.processes()?;
        let probed = processes.iter().filter(|process| process.watch.probes == "ok").count();
        Ok((probed == PROCESSES).then_some(()))
    })?;
    let ticks = proc::cpu_ticks(agent.pid())?;
    for _ in 0..SCRAPES {
        thread::sleep(PAUSE);
        agent.scrape()?;
    }
    let used = proc::cpu_ticks(agent.pid())? - ticks;
    // A tick is a hundredth of a second on every architecture that Linux shows to users.
    let share = used as f64 / 100.0 / (PAUSE * SCRAPES).as_secs_f64() * 100.0;
    let resident = proc::resident_bytes(agent.pid())? as f64 / f64::from(1 << 20);
    println!("bench probes: {PROCESSES} processes watched");
    Ok(format!(
        "### The agent itself\n\n\
         With {PROCESSES} watched processes, each of which starts and ends 100 goroutines a \
         second, scraped every {} s:\n\n\
         | | |\n|---|---:|\n| CPU | {share:.2} % of one core |\n\
         | resident memory | {resident:.1} MiB |\n",
        PAUSE.as_secs()
    ))
}
