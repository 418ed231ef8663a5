//! 2 000 processes that start and end leave no growth in memory, file descriptors or maps.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    bpf,
    fixture::{self, Mode},
    poll, proc,
    process::Guard,
    requires, skip_unless,
    toolchain::{Go, NEWEST},
};

/// Processes of one binary, and of binaries that each run once.
const SAME: u32 = 1900;
const OWN: u32 = 100;
/// Before the measurement: enough to fill what is kept on purpose, such as the probes of binaries
/// that run no more but may come back.
const WARM_UP_SAME: u32 = 300;
const WARM_UP_OWN: u32 = 160;
/// The agent's own scan, which comes every ten seconds, may be needed to notice all.
const REST: Duration = Duration::from_secs(15);
/// What caches may grow by, once they have been filled.
const TOLERATED: u64 = 4 << 20;

/// What the agent holds.
#[derive(Clone, Debug)]
struct Held {
    resident: u64,
    descriptors: usize,
    /// In each map.
    keys: BTreeMap<String, usize>,
}

impl Held {
    fn by(agent: &Agent) -> Result<Self> {
        let pid = agent.pid();
        Ok(Self {
            resident: proc::resident_bytes(pid)?,
            descriptors: proc::open_fds(pid)?,
            keys: bpf::hash_map_keys(pid)?,
        })
    }

    /// Once the agent knows no process, its maps are empty, and probes that are taken off in the
    /// background are gone, so that it has `descriptors` at most; else what it holds after a while.
    fn at_rest(agent: &Agent, descriptors: usize) -> Result<Self> {
        poll::until("the agent has forgotten all processes", REST, || {
            Ok(agent.processes()?.is_empty().then_some(()))
        })?;
        let deadline = Instant::now() + REST;
        loop {
            thread::sleep(Duration::from_millis(200));
            let held = Self::by(agent)?;
            let empty = held.keys.values().all(|keys| *keys == 0);
            if empty && held.descriptors <= descriptors || Instant::now() > deadline {
                return Ok(held);
            }
        }
    }
}

/// Runs the program this often, two at a time.
fn run(program: &Path, times: u32, life: &str) -> Result<()> {
    for _ in 0..times / 2 {
        let mut pair = [
            Guard::start(Command::new(program).arg(life))?,
            Guard::start(&mut Command::new(program))?,
        ];
        for guard in &mut pair {
            let status = guard.wait(Duration::from_secs(20))?;
            ensure!(status.success(), "{} ended with {status}", program.display());
        }
    }
    Ok(())
}

fn churn(folder: &Path, same: u32, own: u32) -> Result<()> {
    let program = folder.join("short");
    run(&program, same, "1ms")?;
    for number in 0..own / 2 {
        // A file of its own is a binary of its own, probed and let go again.
        let copy = folder.join(format!("copy-{number}"));
        fs::copy(&program, &copy)?;
        // Long enough to be probed, most of them.
        run(&copy, 2, "30ms")?;
        fs::remove_file(&copy)?;
    }
    Ok(())
}

#[test]
fn two_thousand_processes_leave_nothing_behind() -> Result<()> {
    skip_unless!("two_thousand_processes_leave_nothing_behind", requires::kernel());
    let folder = tempfile::tempdir()?;
    let built = fixture::build("short", &Go::find(NEWEST)?, Mode::Normal)?;
    fs::copy(&built, folder.path().join("short"))?;
    let glob = folder.path().join("*");
    let agent = Agent::start(&["--exe", glob.to_str().context("not UTF-8")?])?;

    // Probes, lease and files of the one binary that lingers, and what HTTP takes.
    let most = proc::open_fds(agent.pid())? + 16;
    churn(folder.path(), WARM_UP_SAME, WARM_UP_OWN)?;
    let before = Held::at_rest(&agent, most)?;
    churn(folder.path(), SAME, OWN)?;
    let after = Held::at_rest(&agent, most)?;
    println!("before {before:?}, after {after:?}");
    ensure!(after.descriptors <= most, "descriptors: {before:?}, then {after:?}, at most {most}");
    ensure!(
        after.keys.values().all(|keys| *keys == 0),
        "maps still have keys of processes that ended: {before:?}, then {after:?}"
    );
    ensure!(
        after.resident <= before.resident + TOLERATED,
        "resident memory: {before:?}, then {after:?}"
    );
    let scrape = agent.scrape()?;
    for sample in scrape.series("goroscope_events_lost_total", &[]) {
        ensure!(sample.value == 0.0, "lost: {sample:?}");
    }
    Ok(())
}
