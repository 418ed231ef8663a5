//! The agent as a service: what it tells the service manager, the sockets that it is handed, and
//! its configuration, which it reads anew when told to.

mod activation;
mod manager;
mod reload;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    agent::{self, Agent},
    fixture::{self, Mode},
    poll, requires,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use rustix::process::Signal;
use tempfile::TempDir;

/// How long the agent may take to do what it is told.
const SOON: Duration = Duration::from_secs(10);

/// What the tests need that look at no probes.
fn needs() -> Result<(), String> {
    requires::root().and_then(|()| requires::go(NEWEST))
}

/// A folder with programs to watch, and a configuration file.
struct Stage {
    folder: TempDir,
    built: PathBuf,
}

impl Stage {
    fn set() -> Result<Self> {
        let built = fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?;
        Ok(Self { folder: tempfile::tempdir()?, built })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program of this name, which runs.
    fn program(&self, name: &str) -> Result<Speaker> {
        fs::copy(&self.built, self.path(name))?;
        Speaker::start(&self.path(name), &[] as &[&str])
    }

    /// A glob for these programs.
    fn glob(&self, name: &str) -> Result<String> {
        Ok(self.path(name).to_str().context("not UTF-8")?.to_owned())
    }

    fn config(&self) -> PathBuf {
        self.path("goroscope.yml")
    }

    fn configure(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.config(), text)?)
    }

    /// An agent with the configuration file, and these further options.
    fn agent(&self, options: &[&str]) -> Result<Agent> {
        let config = self.glob("goroscope.yml")?;
        let mut command = agent::command(&["--config", &config])?;
        Agent::start_command(command.args(options))
    }
}

/// Sends `SIGHUP`, and waits for the line in the log that says what became of it.
fn reload(agent: &mut Agent, verdict: &str) -> Result<Vec<String>> {
    let before = agent.log().len();
    agent.guard().signal(Signal::HUP)?;
    poll::until(verdict, SOON, || {
        let log: Vec<String> = agent.log().split_off(before);
        Ok(log.iter().any(|line| line.contains(verdict)).then_some(log))
    })
    .with_context(|| agent.log().join("\n"))
}

/// The agent watches this process, or not.
fn watches(agent: &Agent, pid: u32, wanted: bool) -> Result<()> {
    poll::until(&format!("process {pid} watched: {wanted}"), SOON, || {
        Ok((agent.process(pid)?.is_some() == wanted).then_some(()))
    })
    .with_context(|| agent.log().join("\n"))
}

/// A file that is there, for messages that name it.
fn name(path: &Path) -> String {
    path.display().to_string()
}
