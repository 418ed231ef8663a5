//! The fixture `rest`: a program that nothing moves in while it is looked at, and what it knows of
//! itself.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::Result;
use serde::Deserialize;

use crate::speaker::Speaker;

/// The running fixture.
#[derive(Debug)]
pub struct Rest {
    speaker: Speaker,
}

/// What the program says of itself; all of it was noted before it came to rest.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// `runtime.NumGoroutine()`
    pub num_goroutine: u64,
    /// `runtime.GOMAXPROCS(0)`
    pub gomaxprocs: u64,
    /// Goroutines that it started itself.
    pub started: u64,
    /// Those of them that ended.
    pub ended: u64,
    /// Numbers of package `runtime/metrics`, by name; those that its release has.
    pub metrics: BTreeMap<String, u64>,
    /// Histograms of the same.
    pub histograms: BTreeMap<String, Histogram>,
    /// Goroutines in its own dump by what that calls their state: `running`, `chan receive`.
    pub states: BTreeMap<String, u64>,
    /// The same by creator, place and the function started: `main.spawn main.go:60 main.main.func1`.
    pub sites: BTreeMap<String, u64>,
    /// Collections, by `debug.ReadGCStats`.
    pub num_gc: u64,
    /// Nanoseconds of their pauses, by the same.
    pub pause_total: u64,
    /// When the last ended, in nanoseconds since 1970, by the same.
    pub last_gc: u64,
    /// Bytes, by `runtime.MemStats`.
    pub stack_inuse: u64,
    /// Bytes, by the same.
    pub next_gc: u64,
    /// Metrics that changed while it was at rest: then the figures are those of different moments.
    pub moved: Vec<String>,
}

/// A histogram of package `runtime/metrics`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Histogram {
    /// Observations; the first are those below all bounds.
    pub counts: Vec<u64>,
    /// The finite bounds, in seconds, one less than counts.
    pub bounds: Vec<f64>,
}

impl Rest {
    /// Starts the fixture, with four Ps.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(path: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(path, arguments, &[])
    }

    /// The same, with more in its environment.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_with(
        path: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new(path);
        command.args(arguments).env("GOMAXPROCS", "4").envs(environment.iter().copied());
        Ok(Self { speaker: Speaker::spawn(&mut command)? })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.speaker.pid()
    }

    /// Lets it come to rest. From then until [`Rest::report`] nothing in it moves.
    ///
    /// # Errors
    /// Where it ends.
    pub fn freeze(&mut self) -> Result<()> {
        self.speaker.say("")?;
        self.speaker.ready()
    }

    /// What it noted when it came to rest.
    ///
    /// # Errors
    /// Where it ends.
    pub fn report(&mut self) -> Result<Report> {
        self.speaker.say("")?;
        self.speaker.hear()
    }
}
