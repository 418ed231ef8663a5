//! 2 000 processes that start and end leave no growth in memory, file descriptors or maps.

use std::{collections::BTreeMap, fs, path::Path, process::Command, thread, time::Duration};

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

    /// No map has more keys than `other`'s.
    fn fewer_keys(&self, other: &Self) -> bool {
        self.keys.iter().all(|(map, keys)| keys <= other.keys.get(map).unwrap_or(&0))
    }

    /// Once the agent knows no process and holds no more than `limit`; else what it holds after a
    /// while.
    fn at_rest(agent: &Agent, limit: Option<&Self>) -> Result<Self> {
        poll::until("the agent has forgotten all processes", Duration::from_secs(10), || {
            Ok(agent.processes()?.is_empty().then_some(()))
        })?;
        let mut held = Self::by(agent)?;
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(100));
            held = Self::by(agent)?;
            let done = limit.is_none_or(|limit| {
                held.descriptors <= limit.descriptors && held.fewer_keys(limit)
            });
            if done {
                break;
            }
        }
        Ok(held)
    }
}

/// Runs the program this often, two at a time.
fn run(program: &Path, times: u32) -> Result<()> {
    for _ in 0..times / 2 {
        let mut pair = [
            Guard::start(Command::new(program).arg("1ms"))?,
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
    run(&program, same)?;
    for number in 0..own / 2 {
        // A file of its own is a binary of its own, probed and let go again.
        let copy = folder.join(format!("copy-{number}"));
        fs::copy(&program, &copy)?;
        run(&copy, 2)?;
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

    // Fills what is kept on purpose: caches, arenas of the allocator, threads.
    churn(folder.path(), 300, 40)?;
    let before = Held::at_rest(&agent, None)?;
    churn(folder.path(), SAME, OWN)?;
    let after = Held::at_rest(&agent, Some(&before))?;
    println!("before {before:?}, after {after:?}");
    ensure!(after.descriptors <= before.descriptors, "descriptors: {before:?}, then {after:?}");
    ensure!(after.fewer_keys(&before), "keys in maps: {before:?}, then {after:?}");
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
