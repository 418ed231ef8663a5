//! That a thousand processes of one binary cost one inspection.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use goroscope_tests::{agent::Agent, poll, proc, speaker::Speaker};
use rustix::process::Signal;

use super::super::{
    figures::{goal, grouped},
    program,
};

/// Copies of the file, for comparison: each is a binary of its own.
const COPIES: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(300);

/// What the agent has used when it watches all of them.
struct Used {
    milliseconds: u64,
    read: u64,
    open: usize,
}

pub(super) fn measure(processes: u32) -> Result<String> {
    let built = program("parked")?;
    let folder = std::env::temp_dir().join(format!("goroscope-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let measured = in_folder(&folder, &built, processes);
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    measured
}

fn in_folder(folder: &Path, built: &Path, processes: u32) -> Result<String> {
    let one = folder.join("one");
    fs::copy(built, &one).with_context(|| format!("writing {}", one.display()))?;
    let mut rows = Vec::new();
    for number in [1, COPIES, processes] {
        rows.push((number, 1, watch(folder, &vec![one.clone(); usize::try_from(number)?])?));
    }
    let mut copies = Vec::new();
    for number in 0..COPIES {
        let copy = folder.join(format!("copy-{number}"));
        fs::copy(built, &copy).with_context(|| format!("writing {}", copy.display()))?;
        copies.push(copy);
    }
    rows.push((COPIES, COPIES, watch(folder, &copies)?));

    let mut text = format!(
        "### One inspection for all processes of a binary\n\n\
         What the agent has used by the time it watches all of them, from its start on: CPU time, \
         bytes read from files (its own looks at `/proc` included), and how many times it has \
         the binaries open. An inspection keeps one file open; the probes' lease on the file is \
         another. The file has {:.1} MB.\n\n\
         | processes | files | CPU | read | open |\n|---:|---:|---:|---:|---:|\n",
        fs::metadata(built)?.len() as f64 / 1e6
    );
    for (number, files, used) in &rows {
        text.push_str(&format!(
            "| {} | {files} | {} ms | {:.1} MB | {} |\n",
            grouped((*number).into()),
            used.milliseconds,
            used.read as f64 / 1e6,
            used.open
        ));
    }
    let first = rows.first().map(|(_, _, used)| used.open);
    let all = rows.get(2).map(|(_, _, used)| used.open);
    let what = format!("{} processes of one binary cost one inspection", grouped(processes.into()));
    text.push_str(&format!("\n{}\n", goal(&what, first == all)));
    Ok(text)
}

fn watch(folder: &Path, files: &[PathBuf]) -> Result<Used> {
    let mut targets = Vec::new();
    for file in files {
        targets.push(Speaker::start(file, &["1"])?);
    }
    let glob = folder.join("*");
    let agent = Agent::start(&["--exe", glob.to_str().context("not UTF-8")?])?;
    poll::until("all are watched", PATIENCE, || {
        let processes = agent.processes()?;
        let watched = processes.iter().filter(|process| process.watch.probes == "ok").count();
        Ok((watched == targets.len()).then_some(()))
    })?;
    let used = Used {
        // A tick is a hundredth of a second on every architecture that Linux shows to users.
        milliseconds: proc::cpu_ticks(agent.pid())? * 10,
        read: read_bytes(agent.pid())?,
        open: open_below(agent.pid(), folder)?,
    };
    agent.end(Signal::TERM)?;
    println!("bench inspect: {} processes watched", targets.len());
    Ok(used)
}

/// Bytes that a process has got from read calls.
fn read_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|bytes| bytes.parse().ok()).with_context(|| format!("no rchar in {path}"))
}

/// Descriptors that a process has for files of a folder.
fn open_below(pid: u32, folder: &Path) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&path).with_context(|| format!("listing {path}"))?;
    // A descriptor may be closed while the list is read.
    let files = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(files.filter(|file| file.starts_with(folder)).count())
}
