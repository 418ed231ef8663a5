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
const PROGRAMS: [&str; 3] = ["sched_switch", "sched_wakeup", "sched_wakeup_new"];

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let path = program("spin")?;
    let mut target = {
        let _pinned = Pinned::to_one_cpu()?;
        Speaker::start(&path, &[] as &[&str])?
    };
    let agent = Agent::start(&["--pid", &target.pid().to_string()])?;
    agent.wait_probed(target.pid())?;
    let _statistics = Statistics::on()?;
    // Threads of a watched process are switched, and those of all others, too.
    target.say("switch")?;
    let _: Value = target.hear()?;
    target.say("done?")?;
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
    println!("bench probes: scheduler measured");
    Ok(section(&times))
}

/// The kernel keeps 15 characters of a name.
fn full_name(name: &str) -> Option<&'static str> {
    PROGRAMS.into_iter().find(|full| full.get(..15).unwrap_or(full) == name)
}

fn section(times: &[RunTime]) -> String {
    let mut text = String::from(
        "### A switch of threads\n\n\
         Mean run times of the programs in the scheduler, by the kernel's statistics \
         (`kernel.bpf_stats_enabled`), over all threads of the machine while four threads of a \
         watched process hand a CPU to each other.\n\n\
         | program | ns per run | runs |\n|---|---:|---:|\n",
    );
    for time in times {
        let mean = time.nanoseconds as f64 / time.runs as f64;
        let name = full_name(&time.name).unwrap_or(&time.name);
        text.push_str(&format!("| `{name}` | {mean:.0} | {} |\n", time.runs));
    }
    text
}
