//! What this host allows, what is missing, and how to get it.
//!
//! Each check reads an injected `/proc` and `/sys`; where reading is not enough the kernel is
//! asked through an injected trial.

use std::fmt;

use serde::Serialize;

mod host;
mod kernel_version;
mod trial;

mod bpf;
mod capability;
mod cgroup;
mod kernel;
mod limit;
mod memory;
mod namespace;
mod uprobe;

pub use host::Host;
pub use memory::Memory;
pub use trial::{Refusal, Trials};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Pass,
    /// Something is restricted, or cannot be told.
    Warn,
    /// Something that goroscope does cannot work.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What that means for goroscope.
    pub meaning: String,
    /// The way out, where there is something to get out of.
    pub remedy: Option<String>,
}

impl Check {
    fn pass(name: &'static str, found: impl Into<String>, meaning: impl Into<String>) -> Self {
        let (found, meaning) = (found.into(), meaning.into());
        Self { name, verdict: Verdict::Pass, found, meaning, remedy: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, ..Self::pass(name, found, meaning) }
    }

    fn fail(name: &'static str, found: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::pass(name, found, meaning) }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
    /// The kernel takes eBPF programs from this process.
    pub bpf: bool,
    /// Whose processes' memory can be read.
    pub memory: Memory,
    /// Everybody's files can be read.
    pub files: bool,
}

impl Report {
    /// Neither eBPF nor any other process's memory is open to us.
    #[must_use]
    pub fn nothing_works(&self) -> bool {
        !self.bpf && self.memory == Memory::Closed
    }

    /// This user's own processes can be watched, and no others.
    #[must_use]
    pub fn only_own_works(&self) -> bool {
        !self.bpf && self.memory == Memory::Own
    }

    /// The worst verdict.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Verdict::Fail)
    }
}

/// Looks at everything.
#[must_use]
pub fn run(host: &Host) -> Report {
    let checks = vec![
        kernel::version(host),
        kernel::btf(host),
        bpf::syscall(host),
        bpf::unprivileged(host),
        bpf::lockdown(host),
        uprobe::pmu(host),
        uprobe::permission(host),
        uprobe::paranoid(host),
        capability::bpf(host),
        capability::admin(host),
        capability::ptrace(host),
        capability::search(host),
        memory::yama(host),
        namespace::pid(host),
        cgroup::hierarchies(host),
        limit::memlock(host),
        limit::open_files(host),
    ];
    Report {
        checks,
        bpf: bpf::works(host),
        memory: memory::whose(host),
        files: capability::has_search(host),
    }
}

#[cfg(test)]
mod tests;
