//! The programs whose throughput is measured.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{proc, speaker::Speaker};
use serde_json::Value;

use super::super::program;

/// Connections to the HTTP server, all of them kept open.
const CONNECTIONS: &str = "16";
/// A tick is a hundredth of a second on every architecture that Linux shows to users.
const TICKS_PER_SECOND: f64 = 100.0;

/// A program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    Storm,
    Http,
    Collect,
}

/// What was done in one turn.
pub(super) struct Turn {
    pub(super) per_second: f64,
    pub(super) per_cpu_second: f64,
    /// Goroutines born meanwhile.
    pub(super) born: u64,
    pub(super) born_per_second: f64,
}

impl Workload {
    pub(super) const ALL: [Self; 3] = [Self::Storm, Self::Http, Self::Collect];

    fn fixture(self) -> &'static str {
        match self {
            Self::Storm => "spawnstorm",
            Self::Http => "httpserver",
            Self::Collect => "livepointers",
        }
    }

    /// What it does, as a sentence.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Storm => "It starts and ends goroutines on all Ps as fast as it can.",
            Self::Http => {
                "`net/http` on the loopback address, asked over 16 connections that are kept \
                 open, by a program on the same machine that is not watched."
            }
            Self::Collect => {
                "It replaces trees in a live heap of half a million nodes, so that the garbage \
                 collector is always busy."
            }
        }
    }

    /// What is counted, in the plural.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Storm => "goroutines",
            Self::Http => "requests",
            Self::Collect => "trees",
        }
    }

    /// Starts it, and lets it warm up.
    pub(super) fn start(self) -> Result<Running> {
        let path = program(self.fixture())?;
        let target = Speaker::start(&path, &[] as &[&str])?;
        let load = match self {
            Self::Http => {
                let says: Value = target.hear()?;
                let address = says.get("address").and_then(Value::as_str);
                let address = address.with_context(|| format!("the server says {says}"))?;
                Some(Speaker::start(&program("httpload")?, &[address, "/items", CONNECTIONS])?)
            }
            Self::Storm | Self::Collect => None,
        };
        let mut running = Running { path, target, load };
        running.turn(Duration::from_secs(1))?;
        Ok(running)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Storm => "A storm of goroutines",
            Self::Http => "An HTTP server under load",
            Self::Collect => "Garbage collection",
        })
    }
}

/// A program that runs.
pub(super) struct Running {
    /// Its executable.
    pub(super) path: PathBuf,
    target: Speaker,
    /// Who gives it work, if it does not do so itself.
    load: Option<Speaker>,
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.target.pid()
    }

    /// Lets it work for so long.
    pub(super) fn turn(&mut self, length: Duration) -> Result<Turn> {
        let before = proc::cpu_ticks(self.target.pid())?;
        let worker = self.load.as_mut().unwrap_or(&mut self.target);
        worker.say(&length.as_millis().to_string())?;
        let report: Value = worker.hear()?;
        let ticks = proc::cpu_ticks(self.target.pid())? - before;
        let number = |value: &Value, name: &str| {
            let number = value.get(name).and_then(Value::as_f64);
            number.with_context(|| format!("no {name} in {value}"))
        };
        let operations = number(&report, "operations")?;
        let seconds = number(&report, "seconds")?;
        ensure!(operations > 0.0 && seconds > 0.0 && ticks > 0, "nothing was done: {report}");
        let born = match &self.load {
            None => report,
            Some(_) => {
                self.target.say("born")?;
                self.target.hear()?
            }
        };
        let born = born.get("born").and_then(Value::as_u64).context("no count of goroutines")?;
        Ok(Turn {
            per_second: operations / seconds,
            per_cpu_second: operations / (ticks as f64 / TICKS_PER_SECOND),
            born,
            born_per_second: born as f64 / seconds,
        })
    }

    /// Ends it.
    pub(super) fn quit(self) -> Result<()> {
        if let Some(load) = self.load {
            load.quit()?;
        }
        self.target.quit()?;
        Ok(())
    }
}
