//! An agent that watches one Go program and alerts.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take; generous, for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The alert of most tests.
pub(super) const HIGH: &str = "GoroscopeGoroutinesHigh";

/// A program with more goroutines than it should have, and an agent that tells so.
pub(super) struct Watched {
    pub(super) program: Speaker,
    pub(super) agent: Agent,
    pub(super) folder: TempDir,
}

impl Watched {
    /// With the lines below `alertmanagers` in the configuration, and files in its folder.
    pub(super) fn start(alertmanagers: &str, files: &[(&str, String)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in files {
            fs::write(folder.path().join(name), text)?;
        }
        let path = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
        let program = Speaker::start(&path, &["20"])?;
        let config = folder.path().join("goroscope.yaml");
        fs::write(&config, configuration(alertmanagers, folder.path()))?;
        let (config, pid) = (config.display().to_string(), program.pid().to_string());
        let agent = Agent::start(&["--config", &config, "--pid", &pid, "--probes", "off"])?;
        agent.wait_read(program.pid())?;
        Ok(Self { program, agent, folder })
    }

    /// Waits until the log has a line with all of these, and gives it.
    pub(super) fn logged(&self, words: &[&str]) -> Result<String> {
        let found = poll::until(&format!("the log has {words:?}"), PATIENCE, || {
            let log = self.agent.log();
            Ok(log.into_iter().find(|line| words.iter().all(|word| line.contains(word))))
        });
        found.with_context(|| self.agent.log().join("\n"))
    }

    /// The value of a metric.
    pub(super) fn count(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        self.agent.scrape()?.count(name, labels)
    }
}

/// `$DIR` in the lines is the folder with the files.
pub(super) fn configuration(alertmanagers: &str, folder: &Path) -> String {
    let alertmanagers = alertmanagers.replace("$DIR", &folder.display().to_string());
    format!(
        "alerts:\n  interval: 200ms\n  resend: 1s\n  goroutines: {{above: 10, for: 0s}}\n  \
         alertmanagers:\n{alertmanagers}"
    )
}

/// Text within an alert, by JSON pointer.
pub(super) fn text<'a>(alert: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = alert.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("no {pointer} in {alert}"))
}
