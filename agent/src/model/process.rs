//! One watched process.

use std::collections::BTreeMap;

use super::{
    delay::DelayHistogram,
    leak::Leak,
    probed::Probed,
    runtime::Runtime,
    site::Site,
    watch::{Status, Watches},
};
pub use crate::discover::origin::Origin;
use crate::{discover::identity::ProcessId, inspect::Facts};

/// Context switches of a process's threads, since the agent came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// The thread gave up the CPU of itself.
    pub voluntary: u64,
    /// The thread could have gone on.
    pub preempted: u64,
}

/// What the kernel's scheduler did with a process's threads, since the agent came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sched {
    /// Run-queue delay of the threads.
    pub delay: DelayHistogram,
    /// Their switches.
    pub switches: Switches,
}

/// What the file that a process runs says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryFacts {
    /// `go1.26.6`
    pub go_version: String,
    /// Path of the main module.
    pub module: Option<String>,
    /// Go build id.
    pub build_id: Option<String>,
    /// `amd64`, `arm64`, …
    pub arch: String,
    /// No symbol table.
    pub stripped: bool,
    /// Position-independent.
    pub pie: bool,
    /// Has DWARF line and type information.
    pub dwarf: bool,
}

impl From<&Facts> for BinaryFacts {
    fn from(facts: &Facts) -> Self {
        Self {
            go_version: facts.go_version.clone(),
            module: facts.module.clone(),
            build_id: facts.build_id.clone(),
            arch: facts.arch.to_string(),
            stripped: facts.stripped,
            pie: facts.pie,
            dwarf: facts.dwarf,
        }
    }
}

/// One watched process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Identity.
    pub id: ProcessId,
    /// When it started, in seconds since the Unix epoch.
    pub started_at: f64,
    /// When the agent began to watch it, likewise; 0 where nobody goes on watching it.
    pub watched_at: f64,
    /// Path of the executable, as `/proc/PID/exe` has it, without a trailing ` (deleted)`.
    pub exe: String,
    /// Name of its main thread.
    pub comm: String,
    /// Of the binary; `None` where it could not be read.
    pub binary: Option<BinaryFacts>,
    /// Number of OS threads.
    pub threads: Option<u64>,
    /// What its runtime says of itself; `None` where that cannot be read.
    pub runtime: Option<Runtime>,
    /// What the probes counted; `None` where none were ever attached.
    pub probed: Option<Probed>,
    /// Creation sites, the largest first, bounded; the rest last, without a name.
    pub sites: Vec<Site>,
    /// Creation sites that are judged to leak, those with most goroutines first.
    pub leaks: Vec<Leak>,
    /// The scheduler's view; `None` where the scheduler is not traced.
    pub sched: Option<Sched>,
    /// How well it can be watched, in each way.
    pub watch: Watches,
    /// Names.
    pub origin: Origin,
}

impl Process {
    /// Base name of the executable: the label `exe`.
    #[must_use]
    pub fn exe_base(&self) -> &str {
        self.exe.rsplit('/').next().unwrap_or(&self.exe)
    }

    /// Live user goroutines, by the runtime's own records.
    #[must_use]
    pub fn goroutines(&self) -> Option<u64> {
        self.runtime.as_ref().map(|runtime| runtime.counts.live)
    }

    /// Goroutines created since the process started, by the runtime's own records.
    #[must_use]
    pub fn created(&self) -> Option<u64> {
        self.runtime.as_ref().map(|runtime| runtime.counts.created)
    }

    /// One word for how well it is watched.
    #[must_use]
    pub fn status(&self) -> Status {
        self.watch.status()
    }
}

/// Processes by status, for `goroscope_processes`.
#[must_use]
pub fn by_status<'a>(processes: impl IntoIterator<Item = &'a Process>) -> BTreeMap<Status, u64> {
    let mut counts =
        BTreeMap::from([(Status::Active, 0), (Status::Degraded, 0), (Status::Failed, 0)]);
    for process in processes {
        *counts.entry(process.status()).or_default() += 1;
    }
    counts
}
