//! Processes are seen when they start and gone when they end. How fast is for the benchmark; here
//! is what must hold whatever the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll,
    process::Guard,
    requires,
    sites::Sum,
    skip, skip_unless,
    speaker::{Report, Speaker},
    toolchain::{Go, NEWEST},
};
use tempfile::TempDir;

/// Goroutines that the fixture `short` starts.
const GOROUTINES: u64 = 500;
/// What the start of a process may take until it is probed, here; the scan for what was missed
/// comes only every ten seconds.
const SOON: Duration = Duration::from_secs(4);

/// A folder with a copy of the fixture `short`, and an agent that watches what runs from there.
struct Host {
    agent: Agent,
    short: PathBuf,
    _folder: TempDir,
}

impl Host {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let short = folder.path().join("short");
        let built = fixture::build("short", &Go::find(NEWEST)?, Mode::Normal)?;
        fs::copy(&built, &short).with_context(|| format!("copying {}", built.display()))?;
        let glob = folder.path().join("*");
        let agent = Agent::start(&["--exe", glob.to_str().context("not UTF-8")?])?;
        Ok(Self { agent, short, _folder: folder })
    }

    /// Births that the probes saw.
    fn born(&self, pid: u32) -> Result<u64> {
        Ok(Sum::of(&self.agent.sites(pid)?, |_| true).created)
    }

    /// Goroutines created by the runtime's own records.
    fn created(&self, pid: u32) -> Result<u64> {
        let labels = [("pid", &*pid.to_string())];
        self.agent.scrape()?.count("goroscope_goroutines_created_total", &labels)
    }

    fn known(&self, pid: u32) -> Result<bool> {
        let pid = pid.to_string();
        Ok(self.agent.scrape()?.samples.iter().any(|sample| sample.label("pid") == pid))
    }
}

fn waiting(path: &Path) -> Result<(Speaker, Report)> {
    let target = Speaker::spawn(Command::new(path).arg("wait"))?;
    let report = target.hear()?;
    Ok((target, report))
}

/// Waits until the process is probed, and says how long that took.
fn probed(agent: &Agent, pid: u32) -> Result<Duration> {
    let start = Instant::now();
    agent.wait_probed(pid)?;
    Ok(start.elapsed())
}

#[test]
fn a_start_is_noticed() -> Result<()> {
    skip_unless!("a_start_is_noticed", requires::kernel());
    let host = Host::start()?;
    let (target, _) = waiting(&host.short)?;
    let took = probed(&host.agent, target.pid())?;
    ensure!(took < SOON, "probed only after {took:?}");
    Ok(())
}

#[test]
fn an_exec_is_noticed() -> Result<()> {
    skip_unless!("an_exec_is_noticed", requires::kernel());
    let host = Host::start()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 0.3; exec \"$0\" wait"]).arg(&host.short);
    let target = Speaker::spawn(&mut shell)?;
    ensure!(!host.known(target.pid())?, "a shell is taken for a Go program");
    let _: Report = target.hear()?;
    let took = probed(&host.agent, target.pid())?;
    ensure!(took < SOON, "probed only after {took:?}");
    Ok(())
}

#[test]
fn a_process_of_a_probed_binary_is_counted_from_its_first_goroutine() -> Result<()> {
    skip_unless!(
        "a_process_of_a_probed_binary_is_counted_from_its_first_goroutine",
        requires::kernel()
    );
    let host = Host::start()?;
    let (first, _) = waiting(&host.short)?;
    probed(&host.agent, first.pid())?;
    for _ in 0..5 {
        let (target, report) = waiting(&host.short)?;
        let own = report.runtime_created_after.context("the runtime keeps no count")?;
        let mut seen = 0;
        poll::until("all are counted", SOON, || {
            seen = host.born(target.pid())?;
            Ok((seen >= own).then_some(()))
        })
        .with_context(|| format!("the runtime created {own}, the probes saw {seen}"))?;
        ensure!(seen == own, "the runtime created {own}, the probes saw {seen}");
        target.quit()?;
    }
    Ok(())
}

#[test]
fn a_life_of_50_ms_is_counted() -> Result<()> {
    skip_unless!("a_life_of_50_ms_is_counted", requires::kernel());
    let host = Host::start()?;
    let (first, _) = waiting(&host.short)?;
    probed(&host.agent, first.pid())?;
    for _ in 0..5 {
        let mut target = Guard::start(Command::new(&host.short).arg("50ms"))?;
        let mut seen = None;
        while target.ended()?.is_none() {
            // Not there before it has been noticed.
            seen = host.born(target.pid()).ok().max(seen);
        }
        let seen = seen.context("it was never seen")?;
        ensure!(seen >= GOROUTINES, "{seen} of more than {GOROUTINES} goroutines");
        ensure!(!host.known(target.pid())?, "it has ended and is still there");
    }
    Ok(())
}

#[test]
fn who_ends_is_gone_at_the_next_scrape() -> Result<()> {
    skip_unless!("who_ends_is_gone_at_the_next_scrape", requires::kernel());
    let host = Host::start()?;
    for _ in 0..10 {
        let (target, _) = waiting(&host.short)?;
        let pid = target.pid();
        probed(&host.agent, pid)?;
        ensure!(host.known(pid)?, "{pid} is probed and not in the metrics");
        target.quit()?;
        ensure!(!host.known(pid)?, "{pid} has ended and is still in the metrics");
        ensure!(host.agent.process(pid)?.is_none(), "{pid} has ended and is still listed");
    }
    Ok(())
}

#[test]
fn an_exec_replaces_the_process() -> Result<()> {
    skip_unless!("an_exec_replaces_the_process", requires::kernel());
    let host = Host::start()?;
    let other = host.short.with_file_name("other");
    fs::copy(&host.short, &other)?;
    // The shell becomes the first, which is told to quit only after... a shell cannot: so the
    // first program is Go, waits, and a second process takes its place through exec of a shell.
    let script = "\"$0\" 10ms; exec \"$1\" wait";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(&host.short).arg(&other);
    let target = Speaker::spawn(&mut shell)?;
    let _: Report = target.hear()?;
    let process = host.agent.wait_probed(target.pid())?;
    ensure!(process.exe == other.to_string_lossy(), "{} is said to run", process.exe);
    Ok(())
}

#[test]
fn a_reused_pid_is_a_new_process() -> Result<()> {
    const NAME: &str = "a_reused_pid_is_a_new_process";
    skip_unless!(NAME, requires::kernel());
    let last = Path::new("/proc/sys/kernel/ns_last_pid");
    if !last.exists() {
        skip::note(NAME, "the kernel does not let a test choose pids (CONFIG_CHECKPOINT_RESTORE)");
        return Ok(());
    }
    let host = Host::start()?;
    let (first, report) = waiting(&host.short)?;
    let pid = first.pid();
    let before = host.agent.wait_probed(pid)?;
    let own = report.runtime_created_after.context("the runtime keeps no count")?;
    first.quit()?;
    // Start times are told apart to the hundredth of a second.
    thread::sleep(Duration::from_millis(50));
    for _ in 0..200 {
        fs::write(last, (pid - 1).to_string())?;
        let (second, _) = waiting(&host.short)?;
        if second.pid() != pid {
            second.quit()?;
            continue;
        }
        let after = host.agent.wait_probed(pid)?;
        ensure!(before.start_time != after.start_time, "both started at {}", after.start_time);
        host.agent.wait_read(pid)?;
        for seen in [host.born(pid)?, host.created(pid)?] {
            ensure!(seen == own, "{seen} goroutines, {own} of them its own");
        }
        return Ok(());
    }
    bail!("the pid {pid} could not be had again")
}
