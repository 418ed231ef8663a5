//! How soon a process is probed.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use goroscope_tests::{agent::Agent, poll, speaker::Speaker};

use super::{median::median, program};

/// Measurements of each kind.
const TIMES: u32 = 20;
const LIMIT: Duration = Duration::from_secs(20);

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let built = program("workloads")?;
    let folder = std::env::temp_dir().join(format!("goroscope-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let measured = in_folder(&folder, &built);
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    measured
}

fn in_folder(folder: &Path, built: &Path) -> Result<String> {
    let glob = folder.join("*");
    let agent = Agent::start(&["--exe", glob.to_str().context("not UTF-8")?])?;
    let (mut starts, mut execs) = (Vec::new(), Vec::new());
    for number in 1..=TIMES {
        // A file of its own is a binary that has not been seen yet.
        let copy = |name: &str| -> Result<_> {
            let path = folder.join(format!("{name}-{number}"));
            fs::copy(built, &path)?;
            Ok(path)
        };
        let path = copy("start")?;
        let began = Instant::now();
        let target = Speaker::spawn(Command::new(&path).arg("churn"))?;
        starts.push(probed(&agent, target.pid(), began)?);
        drop(target);

        let path = copy("exec")?;
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r line; exec \"$0\" churn"]).arg(&path);
        let mut target = Speaker::spawn(&mut shell)?;
        thread::sleep(Duration::from_millis(50));
        let began = Instant::now();
        target.say("exec")?;
        execs.push(probed(&agent, target.pid(), began)?);
    }
    println!("bench start: {TIMES} starts and {TIMES} execs measured");
    let mut text = format!(
        "### From exec to probed\n\n\
         {TIMES} times each, with a binary that the agent has not seen before, until the API says \
         that the process is probed.\n\n\
         | | median | longest |\n|---|---:|---:|\n"
    );
    for (name, times) in [("a program that starts", starts), ("a process that execs", execs)] {
        let longest = times.iter().copied().fold(0.0, f64::max);
        text.push_str(&format!("| {name} | {:.0} ms | {longest:.0} ms |\n", median(&times)));
    }
    Ok(text)
}

/// Milliseconds until the process is probed.
fn probed(agent: &Agent, pid: u32, began: Instant) -> Result<f64> {
    poll::until("the process is probed", LIMIT, || {
        let process = agent.process(pid)?;
        Ok(process.filter(|process| process.watch.probes == "ok").map(drop))
    })?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
