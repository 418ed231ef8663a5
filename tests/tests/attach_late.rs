//! A process that ran long before the agent came is known as well as any other: its goroutines of
//! that time too, whatever has become of its file and its first thread, and from outside of its
//! namespaces.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    census,
    container::Container,
    fixture::{self, Mode},
    poll, proc, requires, skip, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use tempfile::TempDir;

/// How long a process has run when the agent comes: longer than the agent's own way of looking at a
/// process that has only just begun.
const LONG: Duration = Duration::from_secs(2);

fn built(mode: Mode) -> Result<PathBuf> {
    fixture::build("census", &Go::find(NEWEST)?, mode)
}

fn needs() -> Result<(), String> {
    requires::kernel().and_then(|()| requires::go(NEWEST))
}

/// An agent that comes now, and is told nothing but the process's id.
fn late(pid: u32) -> Result<Agent> {
    thread::sleep(LONG);
    Agent::start(&["--pid", &pid.to_string()])
}

/// All that the agent says is what the program says, and the probes, which came late as well, have
/// counted since then what the runtime has.
fn is_known(agent: &Agent, pid: u32, target: &mut Speaker) -> Result<()> {
    agent.wait_probed(pid)?;
    census::is_told_exactly(agent, pid, target)?;
    let (scrape, pid) = (agent.scrape()?, pid.to_string());
    let hits = scrape.count("goroscope_probe_hits_total", &[("pid", &pid)])?;
    let (created, exited) = census::MORE;
    ensure!(hits >= created + exited, "{hits} births and deaths by the probes");
    for event in ["created", "exited"] {
        let labels = [("pid", pid.as_str()), ("event", event)];
        let drift = scrape.value("goroscope_count_drift_goroutines", &labels)?;
        ensure!(drift == 0.0, "the probes are off by {drift} {event}");
    }
    Ok(())
}

/// A copy of the fixture, in a folder of its own.
fn copy() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("census");
    fs::copy(built(Mode::Stripped)?, &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok((folder, path))
}

/// What the kernel says of a process's namespace.
fn namespace(pid: &str, kind: &str) -> Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).context("a process has namespaces")
}

fn is_apart(pid: u32) -> Result<()> {
    for kind in ["pid", "mnt", "user"] {
        let (theirs, ours) = (namespace(&pid.to_string(), kind)?, namespace("self", kind)?);
        ensure!(theirs != ours, "it shares our {kind} namespace");
    }
    Ok(())
}

#[test]
fn in_each_way_of_building() -> Result<()> {
    const NAME: &str = "in_each_way_of_building";
    skip_unless!(NAME, needs());
    for mode in [Mode::Normal, Mode::Stripped, Mode::Pie] {
        let mut target = Speaker::start(&built(mode)?, &[] as &[&str])?;
        let pid = target.pid();
        let agent = late(pid)?;
        is_known(&agent, pid, &mut target).with_context(|| mode.to_string())?;
        target.quit()?;
    }
    Ok(())
}

#[test]
fn in_a_container() -> Result<()> {
    const NAME: &str = "in_a_container";
    skip_unless!(NAME, needs());
    let mut container = match Container::start(&built(Mode::Stripped)?, &[]) {
        Ok(container) => container,
        // Not every host lets one start containers, or has a package of runc.
        Err(error) => {
            skip::note(NAME, &format!("needs a container: {error:#}"));
            return Ok(());
        }
    };
    let pid = container.pid()?;
    is_apart(pid)?;
    let agent = late(pid)?;
    is_known(&agent, pid, container.speaker())
}

#[test]
fn in_namespaces_of_its_own() -> Result<()> {
    const NAME: &str = "in_namespaces_of_its_own";
    skip_unless!(NAME, needs().and_then(|()| requires::command("unshare")));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    let mut target = Speaker::start_command(command.arg("--").arg(built(Mode::Normal)?))?;
    let pid = child(target.pid())?;
    is_apart(pid)?;
    let agent = late(pid)?;
    is_known(&agent, pid, &mut target)?;
    target.quit()?;
    Ok(())
}

/// The only child of a process.
fn child(pid: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    children.split_whitespace().next().context("unshare has no child")?.parse().context("a pid")
}

#[test]
fn whose_file_is_deleted() -> Result<()> {
    skip_unless!("whose_file_is_deleted", needs());
    let (folder, path) = copy()?;
    let mut target = Speaker::start(&path, &[] as &[&str])?;
    folder.close()?;
    let agent = late(target.pid())?;
    is_known(&agent, target.pid(), &mut target)?;
    target.quit()?;
    Ok(())
}

#[test]
fn whose_file_is_another_program_by_now() -> Result<()> {
    skip_unless!("whose_file_is_another_program_by_now", needs());
    let (_folder, path) = copy()?;
    let mut target = Speaker::start(&path, &[] as &[&str])?;
    replace(&path)?;
    let agent = late(target.pid())?;
    is_known(&agent, target.pid(), &mut target)?;
    // The other one, from the same path, is not taken for it.
    let other = Speaker::start(&path, &["churn"])?;
    let agent = Agent::start(&["--exe", path.to_str().context("not UTF-8")?])?;
    agent.wait_read(other.pid())?;
    is_known(&agent, target.pid(), &mut target)?;
    let theirs = agent.sites(other.pid())?;
    let stranger = theirs.iter().find(|site| site.created_by() == "main.populate");
    ensure!(stranger.is_none(), "sites of the one are shown for the other: {stranger:?}");
    other.quit()?;
    target.quit()?;
    Ok(())
}

/// Puts another program, of another Go release, where the fixture was.
fn replace(path: &Path) -> Result<()> {
    let other = fixture::build("workloads", &Go::find("1.26.6")?, Mode::Normal)?;
    let beside = path.with_extension("new");
    fs::copy(other, &beside)?;
    fs::rename(&beside, path).with_context(|| format!("replacing {}", path.display()))
}

#[test]
fn whose_main_thread_is_gone() -> Result<()> {
    skip_unless!("whose_main_thread_is_gone", needs());
    let mut target = Speaker::start(&built(Mode::Stripped)?, &["headless"])?;
    let pid = target.pid();
    poll::until("the main thread has ended", Duration::from_secs(5), || {
        let state = fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat"))?;
        Ok(state.contains(") Z ").then_some(()))
    })?;
    let agent = late(pid)?;
    is_known(&agent, pid, &mut target)?;
    let (threads, scrape) = (proc::threads(pid)?.len(), agent.scrape()?);
    let seen = scrape.count("goroscope_threads", &[("pid", &pid.to_string())])?;
    ensure!(
        seen == u64::try_from(threads)?,
        "{threads} threads by the kernel, {seen} by the agent"
    );
    target.quit()?;
    Ok(())
}
