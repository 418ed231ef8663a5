//! The agent with a hundred usual programs and a very large one.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    agent::Agent,
    poll,
    proc::{cpu_ticks, fdinfo, resident_bytes},
    speaker::Speaker,
};
use rustix::process::Signal;

use super::{
    super::{
        figures::{goal, grouped, mebibytes},
        program,
    },
    MANY, USUAL, parked,
};

const PROCESSES: usize = 100;
const PAUSE: Duration = Duration::from_secs(5);
/// Time that the agent has for its first looks, which are not counted.
const SETTLE: u32 = 2;
/// Share of one core, and bytes resident and in tables of the kernel.
const CPU_GOAL: f64 = 0.02;
const MEMORY_GOAL: u64 = 64 << 20;
/// A tick is a hundredth of a second on every architecture that Linux shows to users.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn measure(many: Speaker, seconds: u32) -> Result<String> {
    let mut targets = vec![many];
    for _ in 0..PROCESSES {
        targets.push(parked(USUAL)?);
    }
    let exe = program("parked")?;
    let agent = Agent::start(&["--exe", exe.to_str().context("not UTF-8")?])?;
    let known = || Ok((agent.processes()?.len() == targets.len()).then_some(()));
    poll::until("all are watched", Duration::from_secs(120), known)?;
    scrapes(&agent, SETTLE)?;
    let ticks = cpu_ticks(agent.pid())?;
    // Whole pauses only, so that each second has as many scrapes.
    let pauses = seconds / u32::try_from(PAUSE.as_secs())?;
    scrapes(&agent, pauses)?;
    let used = (cpu_ticks(agent.pid())? - ticks) as f64 / TICKS_PER_SECOND;
    let share = used / (PAUSE * pauses).as_secs_f64();
    let resident = resident_bytes(agent.pid())?;
    let tables = table_bytes(agent.pid())?;
    let scrape = agent.scrape()?;
    let sum = |name: &str| {
        let values: Vec<f64> = scrape.series(name, &[]).map(|sample| sample.value).collect();
        (!values.is_empty()).then(|| grouped(values.iter().sum()))
    };
    let told = |name: &str| sum(name).unwrap_or_else(|| "not told".to_owned());
    println!("bench scan: {} processes watched for {:?}", targets.len(), PAUSE * pauses);
    let text = format!(
        "### The agent as a whole\n\n\
         Default options, {PROCESSES} programs with {} goroutines each and one with {}, all of \
         which wait; scraped every {} s for {} s, after {} s.\n\n\
         | | |\n|---|---:|\n\
         | CPU | {:.2} % of one core |\n\
         | resident memory | {:.1} MiB |\n\
         | tables in the kernel | {:.1} MiB |\n\
         | both together | {:.1} MiB |\n\
         | goroutines that it sees alive, `goroscope_goroutines` | {} |\n\
         | those by state, `goroscope_goroutines_by_state` | {} |\n\n{} {}\n",
        grouped(USUAL.into()),
        grouped(MANY.into()),
        PAUSE.as_secs(),
        (PAUSE * pauses).as_secs(),
        (PAUSE * SETTLE).as_secs(),
        share * 100.0,
        mebibytes(resident),
        mebibytes(tables),
        mebibytes(resident + tables),
        told("goroscope_goroutines"),
        told("goroscope_goroutines_by_state"),
        goal("less than 2 % of one core", share < CPU_GOAL),
        goal("less than 64 MiB together", resident + tables < MEMORY_GOAL),
    );
    agent.end(Signal::TERM)?;
    Ok(text)
}

fn scrapes(agent: &Agent, number: u32) -> Result<()> {
    for _ in 0..number {
        thread::sleep(PAUSE);
        agent.scrape()?;
    }
    Ok(())
}

/// Memory that the kernel holds for the tables of a process, in bytes: each table once, however
/// many descriptors there are for it.
fn table_bytes(pid: u32) -> Result<u64> {
    let mut tables: Vec<(u64, u64)> = fdinfo(pid)?
        .iter()
        .filter_map(|info| {
            let number = |name: &str| info.get(name)?.parse::<u64>().ok();
            Some((number("map_id")?, number("memlock")?))
        })
        .collect();
    tables.sort_unstable();
    tables.dedup();
    Ok(tables.iter().map(|(_, bytes)| bytes).sum())
}
