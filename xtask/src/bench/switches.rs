//! What the scheduler pays for each switch: the kernel's own statistics of our programs.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    affinity::Pinned,
    agent::Agent,
    bpf::{self, RunTime, Statistics},
    speaker::Speaker,
};
use serde_json::Value;

use super::program;

/// The programs in the scheduler.
const PROGRAMS: [&str; 2] = ["sched_switch", "sched_wakeup_new"];

/// A way of switching threads: fixture, first word to it, and what it is, for the table.
struct Load {
    fixture: &'static str,
    begin: &'static str,
    what: &'static str,
}

const LOADS: [Load; 2] = [
    Load {
        fixture: "handover",
        begin: "go",
        what: "two threads hand over to each other on one CPU as fast as they can",
    },
    Load {
        fixture: "spin",
        begin: "switch",
        what: "four threads take turns, some hundred times a second: caches are cold each time",
    },
];

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let mut text = String::from(
        "### A switch of threads\n\n\
         Mean run times of the programs in the scheduler, by the kernel's statistics \
         (`kernel.bpf_stats_enabled`, which cost some of it), over all threads of the machine.\n\n\
         | while | program | ns per run | runs |\n|---|---|---:|---:|\n",
    );
    for load in &LOADS {
        for time in run(load)? {
            let mean = time.nanoseconds as f64 / time.runs as f64;
            let name = full_name(&time.name).unwrap_or(&time.name);
            text.push_str(&format!("| {} | `{name}` | {mean:.0} | {} |\n", load.what, time.runs));
        }
    }
    println!("bench probes: scheduler measured");
    Ok(text)
}

fn run(load: &Load) -> Result<Vec<RunTime>> {
    let path = program(load.fixture)?;
    let mut target = {
        let _pinned = Pinned::to_one_cpu()?;
        Speaker::start(&path, &[] as &[&str])?
    };
    let agent = Agent::start(&["--pid", &target.pid().to_string()])?;
    agent.wait_probed(target.pid())?;
    let _statistics = Statistics::on()?;
    target.say(load.begin)?;
    let _: Value = target.hear()?;
    thread::sleep(Duration::from_secs(5));
    let mut times = bpf::run_times(agent.pid())?;
    times.retain(|time| time.runs > 0 && full_name(&time.name).is_some());
    times.sort_by_key(|time| std::cmp::Reverse(time.runs));
    times.dedup_by(|a, b| a.name == b.name);
    times
        .iter()
        .find(|time| time.name.starts_with("sched_switch"))
        .context("the agent has no program on sched_switch, or it did not run")?;
    Ok(times)
}

/// The kernel keeps 15 characters of a name.
fn full_name(name: &str) -> Option<&'static str> {
    PROGRAMS.into_iter().find(|full| full.get(..15).unwrap_or(full) == name)
}
