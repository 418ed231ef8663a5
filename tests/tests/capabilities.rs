//! Least privilege with probes: the agent does all it can with the capabilities that the unit gives
//! it, as a user of its own; and without any one of them it loses what is documented, and says so.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    fixture::{self, Mode},
    poll, requires,
    sites::Sum,
    skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    user::{self, SOMEBODY, SOMEBODY_ELSE},
    workspace,
};
use tempfile::TempDir;

/// Those of goroscope.service, in setpriv's words.
const WITH_UPROBES: &[&str] = &["sys_admin", "sys_ptrace", "dac_read_search", "lease"];
/// Those of no-sys-admin.conf.
const WITHOUT_ADMIN: &[&str] = &["bpf", "perfmon", "sys_ptrace", "dac_read_search", "lease"];
const SOON: Duration = Duration::from_secs(10);
/// `cap_sys_admin` in the kernel's notation of capabilities.
const ADMIN: u64 = 1 << 21;

/// The agent and programs, where every user can run them.
struct Stage {
    goroscope: PathBuf,
    worker: PathBuf,
    folder: TempDir,
}

/// What an agent with some of the capabilities made of a program of another user, and of one whose
/// executable only root may read.
struct Seen {
    agent: Agent,
    open: Speaker,
    closed: Speaker,
}

impl Stage {
    fn set() -> Result<Self> {
        let built = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
        let (folder, copies) = user::public_copies(&[&workspace::goroscope()?, &built])?;
        let [goroscope, worker] = copies.try_into().ok().context("two copies")?;
        Ok(Self { goroscope, worker, folder })
    }

    fn run(&self, capabilities: &[&str]) -> Result<Seen> {
        let closed = self.folder.path().join("closed");
        if !closed.exists() {
            fs::copy(&self.worker, &closed)?;
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
        let open =
            Speaker::start_command(user::command(SOMEBODY_ELSE, &[], &self.worker).arg("churn"))?;
        let closed = Speaker::start(&closed, &["churn"])?;
        let glob = self.folder.path().join("*");
        let mut known = Command::new(&self.goroscope);
        known.args(agent::command(&["-v", "--exe"])?.get_args()).arg(glob);
        let agent = Agent::start_command(&mut user::as_user(SOMEBODY, capabilities, &known))?;
        Ok(Seen { agent, open, closed })
    }
}

impl Seen {
    /// The reason why the probes of the open program do not work, or `ok`.
    fn probes(&self) -> Result<String> {
        let process = self.agent.process(self.open.pid())?.context("it is not watched")?;
        Ok(process.watch.probes)
    }

    fn delay_is_measured(&self) -> Result<bool> {
        let pid = self.open.pid().to_string();
        let scrape = self.agent.scrape()?;
        let found = scrape.series("goroscope_thread_switches_total", &[("pid", &pid)]).count() > 0;
        Ok(found)
    }

    /// Births and deaths are counted to the last one.
    fn counts_exactly(&mut self) -> Result<()> {
        let pid = self.open.pid();
        let users =
            || Ok::<_, anyhow::Error>(Sum::of(&self.agent.sites(pid)?, |site| !site.system));
        let before = users()?;
        let report = self.open.work()?;
        let expected = Sum { created: report.created, exited: report.exited };
        poll::until("every birth and death is counted", SOON, || {
            Ok((users()?.since(before) == expected).then_some(()))
        })
    }

    fn says(&self, word: &str) -> bool {
        self.agent.log().iter().any(|line| line.contains(word))
    }

    /// It goes on watching, and nothing crashed.
    fn is_well(&mut self) -> Result<()> {
        ensure!(self.agent.guard().ended()?.is_none(), "{}", self.agent.log().join("\n"));
        ensure!(!self.says("panicked"), "{}", self.agent.log().join("\n"));
        Ok(())
    }
}

fn needs() -> Result<(), String> {
    requires::kernel()?;
    requires::command("setpriv").and_then(|()| requires::go(NEWEST))
}

/// Does this kernel want CAP_SYS_ADMIN for uprobes? `doctor` is asked by a user without it.
fn uprobes_want_admin(stage: &Stage) -> Result<bool> {
    let mut command = user::command(SOMEBODY, WITHOUT_ADMIN, &stage.goroscope);
    let output = command.args(["doctor", "--output", "json"]).stdin(Stdio::null()).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let checks = report.as_array().context("no list of checks")?;
    let check = checks.iter().find(|check| check["name"] == "uprobe permission");
    Ok(check.context("no check of uprobes")?["verdict"] != "pass")
}

fn without<'a>(all: &[&'a str], one: &str) -> Vec<&'a str> {
    all.iter().copied().filter(|capability| *capability != one).collect()
}

#[test]
fn the_capabilities_of_the_unit_are_enough_for_everything() -> Result<()> {
    const NAME: &str = "the_capabilities_of_the_unit_are_enough_for_everything";
    skip_unless!(NAME, needs());
    let mut seen = Stage::set()?.run(WITH_UPROBES)?;
    for pid in [seen.open.pid(), seen.closed.pid()] {
        seen.agent.wait_read(pid)?;
        seen.agent.wait_probed(pid)?;
    }
    ensure!(seen.delay_is_measured()?, "no delay of threads");
    seen.counts_exactly()?;
    let warnings: Vec<String> =
        seen.agent.log().into_iter().filter(|line| line.contains("\"WARN\"")).collect();
    ensure!(warnings.is_empty(), "{warnings:#?}");
    ensure!(!seen.says("no lease"), "probes do not linger");
    seen.is_well()
}

#[test]
fn what_is_lost_without_sys_admin() -> Result<()> {
    const NAME: &str = "what_is_lost_without_sys_admin";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    // Without any of those that it stands in for, nothing of eBPF is left.
    let mut seen = stage.run(&without(WITH_UPROBES, "sys_admin"))?;
    seen.agent.wait_read(seen.open.pid())?;
    ensure!(seen.probes()? != "ok" && !seen.delay_is_measured()?, "{}", seen.probes()?);
    ensure!(seen.says("no kernel programs"), "{}", seen.agent.log().join("\n"));
    let degraded = seen.agent.scrape()?.value("goroscope_processes", &[("status", "degraded")])?;
    ensure!(degraded == 2.0, "{degraded} processes are degraded");
    seen.is_well()?;
    drop(seen);
    // With those, it depends on the kernel.
    let mut seen = stage.run(WITHOUT_ADMIN)?;
    seen.agent.wait_read(seen.open.pid())?;
    ensure!(seen.delay_is_measured()?, "no delay of threads");
    if uprobes_want_admin(&stage)? {
        let reason = seen.probes()?;
        ensure!(reason.contains("ermission denied"), "{reason}");
        ensure!(!seen.says("no kernel programs"), "{}", seen.agent.log().join("\n"));
    } else {
        seen.agent.wait_probed(seen.open.pid())?;
        seen.counts_exactly()?;
    }
    seen.is_well()
}

#[test]
fn what_is_lost_without_bpf_or_perfmon_where_sys_admin_does_not_stand_in() -> Result<()> {
    const NAME: &str = "what_is_lost_without_bpf_or_perfmon_where_sys_admin_does_not_stand_in";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    for capability in ["bpf", "perfmon"] {
        let mut seen = stage.run(&without(WITHOUT_ADMIN, capability))?;
        seen.agent.wait_read(seen.open.pid())?;
        ensure!(!seen.delay_is_measured()?, "without {capability}: delay of threads");
        ensure!(seen.probes()? != "ok", "without {capability}: probes");
        ensure!(seen.says("goroscope doctor"), "without {capability}: {:#?}", seen.agent.log());
        seen.is_well()?;
    }
    Ok(())
}

#[test]
fn what_is_lost_without_ptrace_or_the_right_to_read_files() -> Result<()> {
    const NAME: &str = "what_is_lost_without_ptrace_or_the_right_to_read_files";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let mut seen = stage.run(&without(WITH_UPROBES, "sys_ptrace"))?;
    ensure!(seen.agent.processes()?.is_empty(), "{:?}", seen.agent.processes()?);
    let told = seen.says("CAP_SYS_PTRACE") || seen.says("no other process's memory");
    ensure!(told, "{:#?}", seen.agent.log());
    seen.is_well()?;
    drop(seen);

    let mut seen = stage.run(&without(WITH_UPROBES, "dac_read_search"))?;
    seen.agent.wait_probed(seen.open.pid())?;
    seen.counts_exactly()?;
    ensure!(seen.agent.process(seen.closed.pid())?.is_none(), "read all the same");
    ensure!(seen.says("CAP_DAC_READ_SEARCH"), "{:#?}", seen.agent.log());
    seen.is_well()
}

#[test]
fn what_is_lost_without_leases() -> Result<()> {
    const NAME: &str = "what_is_lost_without_leases";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let mut seen = stage.run(&without(WITH_UPROBES, "lease"))?;
    seen.agent.wait_probed(seen.open.pid())?;
    seen.counts_exactly()?;
    ensure!(seen.says("no lease: probes will not linger"), "{:#?}", seen.agent.log());
    seen.is_well()
}

#[test]
fn what_hides_files_and_processes_of_others_does_not_hide_them_from_the_agent() -> Result<()> {
    const NAME: &str = "what_hides_files_and_processes_of_others_does_not_hide_them_from_the_agent";
    skip_unless!(NAME, needs().and_then(|()| requires::command("unshare")));
    let stage = Stage::set()?;
    // As ProtectHome= and ProtectProc=invisible have it: the folder of the executables is empty for
    // the agent, and processes show for whom may trace them only.
    let hidden = tempfile::tempdir()?;
    let program = hidden.path().join("hidden");
    fs::copy(&stage.worker, &program)?;
    let target = Speaker::start(&program, &["churn"])?;
    let script = format!(
        "mount -t tmpfs none '{}' && mount -t proc -o hidepid=invisible proc /proc && exec \"$0\" \"$@\"",
        hidden.path().display()
    );
    let mut known = Command::new(&stage.goroscope);
    known.args(agent::command(&["--exe"])?.get_args()).arg(&program);
    let inner = user::as_user(SOMEBODY, WITH_UPROBES, &known);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(inner.get_program()).args(inner.get_args());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let agent = Agent::start_command(&mut command)?;
    agent.wait_read(target.pid())?;
    agent.wait_probed(target.pid())?;
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    let effective = u64::from_str_radix(effective.context("no CapEff")?, 16)?;
    ensure!(effective & ADMIN != 0 && effective.count_ones() == 4, "{effective:x}");
    ensure!(status.contains("NoNewPrivs:\t1"), "it may get more");
    Ok(())
}
