//! The unit under a real systemd, in namespaces of its own: the sandbox hides nothing that the agent
//! needs, and systemd does what the unit asks of it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Process,
    booted::{self, Booted},
    fixture::{self, Mode},
    http, poll, requires, skip_unless,
    toolchain::{Go, NEWEST},
    workspace,
};
use serde_json::Value;
use tempfile::TempDir;

const UNIT: &str = "goroscope.service";
const SOON: Duration = Duration::from_secs(20);
/// `CAP_DAC_READ_SEARCH`, `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`, `CAP_LEASE`, in the kernel's notation.
const ALL: &str = "0000000010280004";
/// The first two.
const TWO: &str = "0000000000080004";
const LOG: &str = "/run/goroscope-test/log";

/// systemd with the unit, and a program that it watches.
struct Stage {
    systemd: Booted,
    address: SocketAddr,
    config: PathBuf,
    _folder: TempDir,
}

impl Stage {
    fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let census = folder.path().join("census");
        fs::copy(fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?, &census)?;
        let goroscope = folder.path().join("goroscope");
        fs::copy(workspace::goroscope()?, &goroscope)?;
        let config = folder.path().join("goroscope.yml");
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        fs::write(&config, format!("listen: {free}\nexe: {}\n", census.display()))?;
        // The unit, with other paths, and less patience. Its own /tmp is another: what the agent
        // needs of this one is mounted into it.
        let changes = format!(
            "[Service]\nExecStart=\nExecStart={} agent --config {}\nBindReadOnlyPaths={}\n\
             StandardOutput=append:{LOG}\nStandardError=append:{LOG}\nRestartSec=100ms\nWatchdogSec=2\n",
            goroscope.display(),
            config.display(),
            folder.path().display(),
        );
        let watched = format!(
            "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh -c 'sleep 600 | {}'\n",
            census.display()
        );
        let socket = format!("[Socket]\nListenStream=\nListenStream={free}\n");
        let units = [
            (UNIT, shipped(UNIT)?),
            ("goroscope.socket", shipped("goroscope.socket")?),
            ("goroscope.service.d/test.conf", changes),
            ("goroscope.socket.d/test.conf", socket),
            ("watched.service", watched),
        ];
        let systemd = Booted::with(&units, &["watched.service", UNIT])?;
        Ok(Self { systemd, address: free, config, _folder: folder })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.systemd.path(LOG)).unwrap_or_default()
    }

    fn property(&self, name: &str) -> Result<String> {
        self.systemd.property(UNIT, name)
    }

    /// Waits until the service runs, and the program is watched like this.
    fn watches(&self, probes: &str) -> Result<()> {
        poll::until("the program is watched", SOON, || {
            ensure!(self.property("ActiveState")? == "active", "{}", self.property("ActiveState")?);
            let answer = http::get(self.address, "/api/v1/processes", &[])?.text()?;
            let processes: Vec<Process> = serde_json::from_str(&answer)?;
            let [process] = processes.as_slice() else { return Ok(None) };
            let whole: Value = serde_json::from_str(&answer)?;
            let unit = whole.pointer("/0/origin/unit").and_then(Value::as_str);
            ensure!(unit == Some("watched.service"), "{answer}");
            let watch = &process.watch;
            ensure!(watch.runtime == "ok" && watch.probes == probes, "{watch:?}");
            Ok(Some(()))
        })
        .with_context(|| self.log())
    }

    /// The agent is no root, has these capabilities and no others, and a filter of system calls.
    fn is_modest(&self, capabilities: &str) -> Result<()> {
        let pid = self.property("MainPID")?;
        let status = fs::read_to_string(self.systemd.path(&format!("/proc/{pid}/status")))?;
        let line = |key: &str| {
            let mut lines = status.lines().filter_map(|line| line.strip_prefix(key));
            lines.next().map(str::trim).with_context(|| format!("no {key} in {status}"))
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            ensure!(line(set)? == capabilities, "{set} {}", line(set)?);
        }
        ensure!(line("NoNewPrivs:")? == "1" && line("Seccomp:")? == "2", "{status}");
        ensure!(!line("Uid:")?.split_whitespace().any(|id| id == "0"), "{}", line("Uid:")?);
        Ok(())
    }

    /// Waits until systemd has started it so often again, and it watches.
    fn is_started_again(&self, times: &str) -> Result<()> {
        poll::until("it is started again", SOON, || {
            Ok((self.property("NRestarts")? == times).then_some(()))
        })
        .with_context(|| self.log())?;
        self.watches("ok")
    }
}

fn shipped(name: &str) -> Result<String> {
    let path = workspace::root().join("deploy/systemd").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn needs() -> Result<(), String> {
    booted::usable()?;
    requires::kernel().and_then(|()| requires::go(NEWEST))
}

#[test]
fn the_unit_does_under_systemd_what_it_is_for() -> Result<()> {
    const NAME: &str = "the_unit_does_under_systemd_what_it_is_for";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    stage.watches("ok")?;
    stage.is_modest(ALL)?;
    poll::until("the status says how much is watched", SOON, || {
        Ok(stage.property("StatusText")?.starts_with("1 process, ").then_some(()))
    })?;
    ensure!(!stage.log().contains(" WARN "), "{}", stage.log());

    // A wrong configuration is refused, and seen in the status.
    let right = fs::read_to_string(&stage.config)?;
    fs::write(&stage.config, format!("{right}nonsense: 1\n"))?;
    stage.systemd.systemctl(&["reload", UNIT])?;
    poll::until("it is refused", SOON, || {
        Ok(stage.property("StatusText")?.contains("refused").then_some(()))
    })
    .with_context(|| stage.log())?;
    ensure!(stage.log().contains("goroscope.yml:3:1: unknown key `nonsense`"), "{}", stage.log());
    stage.watches("ok")?;
    fs::write(&stage.config, &right)?;
    stage.systemd.systemctl(&["reload", UNIT])?;
    poll::until("it is taken", SOON, || {
        Ok((!stage.property("StatusText")?.contains("refused")).then_some(()))
    })
    .with_context(|| stage.log())?;
    ensure!(stage.property("NRestarts")? == "0");

    // One that is killed, and one that hangs, is started again.
    stage.systemd.systemctl(&["kill", "--signal=KILL", UNIT])?;
    stage.is_started_again("1")?;
    stage.systemd.systemctl(&["kill", "--signal=STOP", UNIT])?;
    stage.is_started_again("2")?;

    // At its end it detaches everything, in order.
    stage.systemd.systemctl(&["stop", UNIT])?;
    ensure!(stage.property("Result")? == "success", "{}", stage.property("Result")?);

    // The first who asks has the service started.
    stage.systemd.systemctl(&["start", "goroscope.socket"])?;
    let answer = http::get(stage.address, "/healthz", &[])?;
    ensure!(answer.status == 200, "{}", answer.status);
    stage.watches("ok")?;
    ensure!(stage.log().contains("as handed over"), "{}", stage.log());

    // Without probes.
    let changes = stage.systemd.path("/run/systemd/system/goroscope.service.d");
    fs::create_dir_all(&changes)?;
    fs::write(changes.join("probes-off.conf"), shipped("probes-off.conf")?)?;
    stage.systemd.systemctl(&["daemon-reload"])?;
    stage.systemd.systemctl(&["restart", UNIT])?;
    stage.watches("off")?;
    stage.is_modest(TWO)
}
