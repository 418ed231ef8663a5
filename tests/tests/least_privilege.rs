//! What the runtime itself says needs no eBPF: without the probes an ordinary user watches its own
//! processes, and who has CAP_SYS_PTRACE everybody's. Who may not is told so.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent, Process},
    census::{self, Census},
    fixture::{self, Mode},
    proc, requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    user::{self, SOMEBODY, SOMEBODY_ELSE},
    workspace,
};
use serde_json::Value;
use tempfile::TempDir;

/// CAP_SYS_PTRACE in the kernel's notation of capabilities.
const PTRACE_ONLY: &str = "0000000000080000";
const NOTHING: &str = "0000000000000000";

/// Copies of the agent and of the fixture that everybody can run.
struct Stage {
    goroscope: PathBuf,
    census: PathBuf,
    _folder: TempDir,
}

impl Stage {
    fn set() -> Result<Self> {
        let built = fixture::build("census", &Go::find(NEWEST)?, Mode::Stripped)?;
        let (folder, copies) = user::public_copies(&[&workspace::goroscope()?, &built])?;
        let [goroscope, census] = copies.try_into().ok().context("two copies")?;
        Ok(Self { goroscope, census, _folder: folder })
    }

    /// The fixture, as a process of this user.
    fn target(&self, user: u32) -> Result<Speaker> {
        Speaker::start_command(&mut user::command(user, &[], &self.census))
    }

    /// An agent of this user with these capabilities, which does without probes.
    fn agent(&self, user: u32, capabilities: &[&str], selection: &[&str]) -> Result<Agent> {
        let mut known = Command::new(&self.goroscope);
        known.args(agent::command(&["--probes", "off"])?.get_args()).args(selection);
        Agent::start_command(&mut user::as_user(user, capabilities, &known))
    }

    /// What a command of goroscope's gives this user.
    fn output(&self, user: u32, capabilities: &[&str], arguments: &[&str]) -> Result<Output> {
        let mut command = user::command(user, capabilities, &self.goroscope);
        // Even a user who asks for backtraces gets none for what is not a bug.
        Ok(command.args(arguments).env("RUST_BACKTRACE", "1").output()?)
    }
}

/// Root, to become somebody else; and what that takes.
fn needs() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root, to become somebody else".to_owned());
    }
    requires::command("setpriv").and_then(|()| requires::go(NEWEST))
}

/// The process has these effective capabilities and no eBPF of its own.
fn is_modest(pid: u32, capabilities: &str) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    ensure!(effective == Some(capabilities), "the agent has capabilities {effective:?}");
    for descriptor in proc::fdinfo(pid)? {
        for kind in ["prog_id", "map_id", "btf_id"] {
            ensure!(!descriptor.contains_key(kind), "the agent has eBPF: {descriptor:?}");
        }
    }
    Ok(())
}

/// Nothing is said to have failed.
fn is_calm(agent: &Agent) -> Result<()> {
    let log = agent.log();
    let loud = |line: &&String| line.contains("\"ERROR\"") || line.contains("panicked");
    let loud: Vec<&String> = log.iter().filter(loud).collect();
    ensure!(loud.is_empty(), "{loud:#?}");
    let warnings = log.iter().filter(|line| line.contains("\"WARN\"")).count();
    ensure!(warnings <= 3, "a flood of warnings:\n{}", log.join("\n"));
    Ok(())
}

/// `goroscope ps` shows the process with its goroutines.
fn is_listed(output: &Output, pid: u32, census: &Census) -> Result<()> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let [process] = listed.as_slice() else { anyhow::bail!("not one process: {listed:?}") };
    let field = |path: &str| process.pointer(path).cloned().unwrap_or_default();
    ensure!(field("/pid") == pid && field("/watch/runtime") == "ok", "{process}");
    ensure!(field("/goroutines") == census.num_goroutine, "{census:?}: {process}");
    ensure!(field("/created_total").as_u64() == census.created, "{census:?}: {process}");
    Ok(())
}

/// It failed with one message, which has these words, a hint, and no trace of a crash.
fn fails_saying(output: &Output, words: &[&str]) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {text}", output.status);
    for word in words.iter().chain(&["error: ", "hint: "]) {
        ensure!(text.contains(word), "no {word:?} in: {text}");
    }
    for crash in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        ensure!(!text.contains(crash), "{crash:?} in: {text}");
    }
    Ok(())
}

fn known(agent: &Agent, pid: u32) -> Result<Process> {
    agent.process(pid)?.with_context(|| format!("process {pid} is not known"))
}

#[test]
fn an_ordinary_user_watches_its_own_processes() -> Result<()> {
    const NAME: &str = "an_ordinary_user_watches_its_own_processes";
    skip_unless!(NAME, needs().and_then(|()| user::yama_allows()));
    let stage = Stage::set()?;
    let mut target = stage.target(SOMEBODY)?;
    let pid = target.pid();
    let agent = stage.agent(SOMEBODY, &[], &["--pid", &pid.to_string()])?;
    census::is_told_exactly(&agent, pid, &mut target)?;
    ensure!(known(&agent, pid)?.watch.probes == "off", "{:?}", known(&agent, pid)?);
    is_modest(agent.pid(), NOTHING)?;
    is_calm(&agent)?;
    let census = Census::take(&mut target)?;
    let arguments = ["ps", "--output", "json", "--pid", &pid.to_string()];
    is_listed(&stage.output(SOMEBODY, &[], &arguments)?, pid, &census)
}

#[test]
fn an_ordinary_user_sees_only_its_own_among_others() -> Result<()> {
    const NAME: &str = "an_ordinary_user_sees_only_its_own_among_others";
    skip_unless!(NAME, needs().and_then(|()| user::yama_allows()));
    let stage = Stage::set()?;
    let mut own = stage.target(SOMEBODY)?;
    let others = [stage.target(SOMEBODY_ELSE)?, stage.target(0)?];
    let glob = stage.census.to_str().context("not UTF-8")?;
    let agent = stage.agent(SOMEBODY, &[], &["--exe", glob])?;
    census::is_told_exactly(&agent, own.pid(), &mut own)?;
    for other in &others {
        let seen = agent.process(other.pid())?;
        ensure!(seen.is_none(), "a process of another user is watched: {seen:?}");
    }
    is_calm(&agent)?;
    let census = Census::take(&mut own)?;
    let listed = stage.output(SOMEBODY, &[], &["ps", "--output", "json", "--exe", glob])?;
    is_listed(&listed, own.pid(), &census)?;
    let said = String::from_utf8_lossy(&listed.stderr);
    ensure!(said.contains("could not be looked at") && said.contains("CAP_SYS_PTRACE"), "{said}");
    Ok(())
}

#[test]
fn with_ptrace_alone_everybodys_processes_are_watched() -> Result<()> {
    const NAME: &str = "with_ptrace_alone_everybodys_processes_are_watched";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let mut targets = [stage.target(SOMEBODY_ELSE)?, stage.target(0)?];
    let glob = stage.census.to_str().context("not UTF-8")?;
    let agent = stage.agent(SOMEBODY, &["sys_ptrace"], &["--exe", glob])?;
    for target in &mut targets {
        census::is_told_exactly(&agent, target.pid(), target)?;
        let census = Census::take(target)?;
        let pid = target.pid();
        let arguments = ["ps", "--output", "json", "--pid", &pid.to_string()];
        is_listed(&stage.output(SOMEBODY, &["sys_ptrace"], &arguments)?, pid, &census)?;
    }
    is_modest(agent.pid(), PTRACE_ONLY)?;
    is_calm(&agent)
}

#[test]
fn an_executable_that_only_its_owner_may_read_asks_for_one_capability_more() -> Result<()> {
    const NAME: &str = "an_executable_that_only_its_owner_may_read_asks_for_one_capability_more";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    fs::set_permissions(&stage.census, fs::Permissions::from_mode(0o700))?;
    let mut target = stage.target(0)?;
    let pid = target.pid().to_string();
    let agent = ["agent", "--probes", "off", "--listen", "127.0.0.1:0", "--pid", &pid];
    let process = format!("process {pid}");
    let words = [process.as_str(), "may not be looked at", "root", "CAP_DAC_READ_SEARCH"];
    fails_saying(&stage.output(SOMEBODY, &["sys_ptrace"], &agent)?, &words)?;
    let both = ["sys_ptrace", "dac_read_search"];
    let agent = stage.agent(SOMEBODY, &both, &["--pid", &pid])?;
    census::is_told_exactly(&agent, target.pid(), &mut target)
}

#[test]
fn the_right_to_read_files_alone_opens_no_process_of_others() -> Result<()> {
    const NAME: &str = "the_right_to_read_files_alone_opens_no_process_of_others";
    skip_unless!(NAME, needs().and_then(|()| user::yama_allows()));
    let stage = Stage::set()?;
    let (mut own, other) = (stage.target(SOMEBODY)?, stage.target(SOMEBODY_ELSE)?);
    let glob = stage.census.to_str().context("not UTF-8")?;
    let agent = stage.agent(SOMEBODY, &["dac_read_search"], &["--exe", glob])?;
    let pid = own.pid();
    // Of its own processes too only those that have no more rights than it has.
    census::is_told_exactly(&agent, pid, &mut own)?;
    ensure!(agent.process(other.pid())?.is_none(), "a process of another user is watched");
    let log = agent.log().join("\n");
    ensure!(log.contains("without root or CAP_SYS_PTRACE"), "{log}");
    is_calm(&agent)
}

#[test]
fn anothers_process_is_a_clear_error() -> Result<()> {
    const NAME: &str = "anothers_process_is_a_clear_error";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    for owner in [SOMEBODY_ELSE, 0] {
        let target = stage.target(owner)?;
        let pid = target.pid().to_string();
        let process = format!("process {pid}");
        let agent = ["agent", "--probes", "off", "--listen", "127.0.0.1:0", "--pid", &pid];
        let words = [process.as_str(), "may not be looked at", "root", "CAP_SYS_PTRACE", "doctor"];
        fails_saying(&stage.output(SOMEBODY, &[], &agent)?, &words)?;
        fails_saying(&stage.output(SOMEBODY, &[], &["ps", "--pid", &pid])?, &words)?;
    }
    Ok(())
}

#[test]
fn anothers_process_does_not_keep_from_ones_own() -> Result<()> {
    const NAME: &str = "anothers_process_does_not_keep_from_ones_own";
    skip_unless!(NAME, needs().and_then(|()| user::yama_allows()));
    let stage = Stage::set()?;
    let (mut own, other) = (stage.target(SOMEBODY)?, stage.target(0)?);
    let pids = [own.pid().to_string(), other.pid().to_string()];
    let agent = stage.agent(SOMEBODY, &[], &["--pid", &pids[0], "--pid", &pids[1]])?;
    census::is_told_exactly(&agent, own.pid(), &mut own)?;
    let log = agent.log().join("\n");
    ensure!(log.contains("asked for, but not watched") && log.contains(&pids[1]), "{log}");
    Ok(())
}
