//! What very many creation sites cost the agent, and Prometheus.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    many_sites::{ManySites, Started},
    poll,
    proc::{cpu_ticks, most_resident_bytes, resident_bytes},
    prometheus_server::{self, PrometheusServer},
};
use rustix::process::Signal;

use super::figures::{grouped, mebibytes};

/// Creation sites of the programs.
const SITES: [u32; 2] = [1_000, 50_000];
const SCRAPES: Duration = Duration::from_secs(5);
const LASTING: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);
/// A tick is a hundredth of a second on every architecture that Linux shows to users.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let mut text = format!(
        "### Creation sites\n\n\
         One program, each of whose sites has started a goroutine that waits, 20 of them more. The \
         agent with default options, scraped by Debian's Prometheus every {} s for {} s.\n\n\
         | creation sites | series of the agent in Prometheus | of sites | agent: resident memory | \
         most | CPU | Prometheus: resident memory |\n|---:|---:|---:|---:|---:|---:|---:|\n",
        SCRAPES.as_secs(),
        LASTING.as_secs()
    );
    for sites in SITES {
        text.push_str(&row(sites)?);
        println!("bench sites: {sites} sites measured");
    }
    Ok(text)
}

fn row(sites: u32) -> Result<String> {
    let program = ManySites::build(sites)?;
    let mut target = program.start()?;
    let agent = Agent::start(&["--pid", &target.pid().to_string()])?;
    agent.wait_read(target.pid())?;
    let config = prometheus_server::scraping(agent.address(), SCRAPES);
    let prometheus = PrometheusServer::start(&config, &[])?;
    target.say("go")?;
    let Started { goroutines } = target.hear()?;
    let ticks = cpu_ticks(agent.pid())?;
    thread::sleep(LASTING);
    let used = (cpu_ticks(agent.pid())? - ticks) as f64 / TICKS_PER_SECOND;
    let number = |query: &str| {
        poll::until(query, PATIENCE, || Ok(prometheus.query(query)?.first().copied()))
    };
    let seen = number("sum(goroscope_goroutines)")?;
    ensure!(seen == goroutines as f64, "{seen} of {goroutines} goroutines were seen");
    let row = format!(
        "| {} | {} | {} | {:.1} MiB | {:.1} MiB | {:.2} % of one core | {:.1} MiB |\n",
        grouped(sites.into()),
        grouped(number("count({__name__=~\"goroscope_.*\"})")?),
        grouped(number("count({__name__=~\"goroscope_site_goroutines.*\"})")?),
        mebibytes(resident_bytes(agent.pid())?),
        mebibytes(most_resident_bytes(agent.pid())?),
        used / LASTING.as_secs_f64() * 100.0,
        mebibytes(resident_bytes(prometheus.pid())?),
    );
    agent.end(Signal::TERM)?;
    target.quit().context("ending the program")?;
    Ok(row)
}
