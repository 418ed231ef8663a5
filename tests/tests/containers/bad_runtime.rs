//! Runtimes that are absent, hang or lie: clear, bounded, escaped; and the watching goes on.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{Agent, PATIENCE},
    container::Container,
    fixture::{self, Mode},
    poll, skip, skip_unless,
    toolchain::{Go, NEWEST},
    workspace,
};
use serde_json::Value;

use crate::{
    cgroup::Cgroup,
    fake::{EVIL, FakeRuntime, Manner},
    named::{labels, text},
    needs,
};

/// Longest value of a label, in characters.
const LABEL: usize = 200;
/// Longest name, in characters.
const NAME: usize = 253;

#[test]
fn runtimes_that_are_absent_hang_or_lie_do_no_harm() -> Result<()> {
    const TEST: &str = "runtimes_that_are_absent_hang_or_lie_do_no_harm";
    skip_unless!(TEST, needs());
    let cgroup = Cgroup::new(&format!("goroscope-test-{}-bad", std::process::id()));
    let path = format!("{}/docker/{:064x}", cgroup.path(), std::process::id());
    let program = fixture::build("spin", &Go::find(NEWEST)?, Mode::Normal)?;
    let container = match Container::start_in(&path, &program, &[]) {
        Ok(container) => container,
        Err(error) => {
            skip::note(TEST, &format!("needs a container: {error:#}"));
            return Ok(());
        }
    };
    let pid = container.pid()?;
    let folder = tempfile::tempdir()?;
    absent(&cgroup, pid, folder.path())?;
    hangs(&cgroup, pid, folder.path())?;
    lies(&cgroup, pid, folder.path())?;
    drop(container);
    cgroup.remove();
    Ok(())
}

/// The options with which nothing but this socket is asked.
fn options(cgroup: &Cgroup, folder: &Path, socket: &str) -> [String; 6] {
    let (folder, socket) =
        (folder.display().to_string(), folder.join(socket).display().to_string());
    ["--cgroup", &cgroup.path(), "--host-root", &folder, "--cri-socket", &socket].map(str::to_owned)
}

fn agent(options: &[String]) -> Result<Agent> {
    Agent::start(&[options, &["--probes".to_owned(), "off".to_owned()]].concat())
}

fn goroscope(arguments: &[&str], options: &[String]) -> Result<Output> {
    let mut command = Command::new(workspace::goroscope()?);
    command.args(arguments).args(options).stdin(Stdio::null());
    command.output().context("starting goroscope")
}

/// What `doctor` says of the socket.
fn doctor(options: &[String]) -> Result<Value> {
    let output = goroscope(&["doctor", "--output", "json"], options.get(2..).unwrap_or_default())?;
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    checks.into_iter().find(|check| text(check, "name") == "names of pods").context("no such check")
}

/// It is watched, has no names, and the failures are counted and told with this in them.
fn is_nameless(agent: &Agent, pid: u32, told: &str) -> Result<()> {
    agent.wait_read(pid)?;
    poll::until("the failure is counted and told", PATIENCE, || {
        let scrape = agent.scrape()?;
        let failures = [("source", "cri")];
        let failures = scrape.count("goroscope_origin_lookup_failures_total", &failures)?;
        let names = labels(&scrape, pid).context("it is not watched")?;
        ensure!(names == crate::named::Names::default(), "it is called {names:?}");
        Ok((failures > 0 && agent.log().iter().any(|line| line.contains(told))).then_some(()))
    })
    .with_context(|| agent.log().join("\n"))
}

fn absent(cgroup: &Cgroup, pid: u32, folder: &Path) -> Result<()> {
    let options = options(cgroup, folder, "absent.sock");
    is_nameless(&agent(&options)?, pid, "absent.sock: No such file or directory")?;
    let check = doctor(&options)?;
    ensure!(
        text(&check, "verdict") == "warn" && !text(&check, "remedy").is_empty(),
        "doctor says {check}"
    );
    let listed = goroscope(&["ps"], &options)?;
    ensure!(listed.status.success(), "{listed:?}");
    Ok(())
}

fn hangs(cgroup: &Cgroup, pid: u32, folder: &Path) -> Result<()> {
    let _fake = FakeRuntime::start(&folder.join("hang.sock"), Manner::Hang)?;
    let options = options(cgroup, folder, "hang.sock");
    let start = Instant::now();
    let listed = goroscope(&["ps"], &options)?;
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&listed.stderr);
    ensure!(listed.status.success() && took < Duration::from_secs(5), "ps took {took:?}");
    ensure!(said.contains("the container runtime does not answer"), "ps says {said:?}");
    let agent = agent(&options)?;
    agent.wait_read(pid)?;
    let start = Instant::now();
    agent.scrape()?;
    ensure!(start.elapsed() < Duration::from_secs(1), "a scrape took {:?}", start.elapsed());
    is_nameless(&agent, pid, "does not answer within 2 s")?;
    let check = doctor(&options)?;
    ensure!(
        text(&check, "verdict") == "warn" && !text(&check, "remedy").is_empty(),
        "doctor says {check}"
    );
    Ok(())
}

fn lies(cgroup: &Cgroup, pid: u32, folder: &Path) -> Result<()> {
    let _fake = FakeRuntime::start(&folder.join("lie.sock"), Manner::Lie)?;
    let options = options(cgroup, folder, "lie.sock");
    let agent = agent(&options)?;
    // The harness parses strictly: a label that breaks out is an error there.
    let names = poll::until("it has names", PATIENCE, || {
        let names = labels(&agent.scrape()?, pid);
        Ok(names.filter(|names| !names.pod.is_empty()))
    })?;
    let cleaned = EVIL.replace(['\n', '\x1b'], "\u{fffd}");
    ensure!(names.container == cleaned, "the label is {:?}", names.container);
    ensure!(names.namespace == format!("{cleaned}\u{fffd}\u{fffd}"), "{:?}", names.namespace);
    ensure!(names.pod.chars().count() == LABEL, "{} characters", names.pod.chars().count());
    let clean = |text: &str| !text.contains('\x1b');
    ensure!(agent.log().iter().all(|line| clean(line)), "an escape is in the log");
    let table = goroscope(&["ps"], &options)?;
    let shown = String::from_utf8(table.stdout)?;
    ensure!(clean(&shown) && shown.lines().count() == 2, "ps prints {shown:?}");
    ensure!(shown.lines().all(|line| line.chars().count() < 1000), "ps prints {shown:?}");
    let json = goroscope(&["ps", "--output", "json"], &options)?;
    ensure!(clean(&String::from_utf8(json.stdout.clone())?), "an escape is in ps's JSON");
    let processes: Vec<Value> = serde_json::from_slice(&json.stdout)?;
    let origin = processes.first().and_then(|process| process.get("origin"));
    let origin = origin.context("ps lists nothing")?;
    ensure!(text(origin, "container") == EVIL, "ps tells {origin}");
    let pod = text(origin, "pod");
    ensure!(pod.chars().count() == NAME, "{} characters", pod.chars().count());
    Ok(())
}
