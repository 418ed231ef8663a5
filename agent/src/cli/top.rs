//! `goroscope top`

mod live;
mod script;
mod terminal;

use std::{process::ExitCode, sync::Arc, time::Duration};

use super::{agent::hint, failure::Failure, logging::Held, target::Target, value::Output};
use crate::{
    discover::{identity::ProcessId, proc_fs::ProcFs},
    doctor::{self, Host},
    model::dump::Dump,
    read::RuntimeFacts,
    run::{dumping::Dumper, settings::AgentSettings},
};

/// What `top` is told.
#[derive(Debug)]
pub(super) struct TopSettings {
    /// What the engine is told.
    pub(super) agent: AgentSettings,
    /// Between two looks.
    pub(super) interval: Duration,
    /// One interval only, and no terminal.
    pub(super) once: bool,
    /// The form.
    pub(super) output: Output,
}

impl TopSettings {
    /// Whether it draws on a terminal.
    pub(super) fn is_live(&self) -> bool {
        !self.once && self.output == Output::Table
    }
}

/// Takes a dump of a process; called on a thread of its own. The reason is a sentence for people.
type TakeDump = Arc<dyn Fn(ProcessId) -> Result<Dump, String> + Send + Sync>;

pub(super) fn run(settings: &TopSettings, log: &Held) -> anyhow::Result<ExitCode> {
    if settings.is_live() {
        terminal::check()?;
    }
    let report = doctor::run(&Host::this());
    if report.nothing_works() {
        let failure = Failure::new(
            "nothing can be watched here: neither eBPF nor the memory of other processes is open",
        );
        return Err(failure
            .hint("run it as root; `goroscope doctor` tells what is missing")
            .into());
    }
    let mut warnings = Vec::new();
    if report.only_own_works() {
        warnings.push("processes of this user only, without root or CAP_SYS_PTRACE".to_owned());
    }
    let outcome = if settings.is_live() {
        let outcome = live::run(settings, warnings, take_dump());
        // What was logged meanwhile can be seen now.
        log.release();
        outcome
    } else {
        script::run(settings, warnings)
    };
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Ended::Other(error)) => Err(error),
        Err(Ended::Engine(reason)) => Err(match hint(&report) {
            Some(hint) => Failure::new(reason).hint(hint).into(),
            None => {
                Failure::new(reason).hint("`goroscope ps` lists the Go processes in sight").into()
            }
        }),
    }
}

/// Why it ended by itself.
#[derive(Debug)]
enum Ended {
    /// The engine did not want to go on.
    Engine(String),
    /// Something else failed.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads the stacks from outside; nothing of it is kept from one time to the next.
fn take_dump() -> TakeDump {
    Arc::new(|id| {
        let procfs = ProcFs::new("/proc");
        let found = Target::find(&procfs, id.pid).map_err(|failure| failure.to_string())?;
        let ended = || format!("process {} has ended", id.pid);
        let target = Some(found).filter(|found| found.id == id).ok_or_else(ended)?;
        let facts = RuntimeFacts::of(&target.binary).map(Arc::new);
        let facts = facts.map_err(|error| error.to_string())?;
        let mut dumper = Dumper::open(&procfs, id, target.exe, &target.binary, &facts)
            .map_err(|error| error.to_string())?;
        dumper.dump(&|_| true).map_err(|error| error.to_string())
    })
}
