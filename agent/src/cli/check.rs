//! `goroscope check`: the leak gate.
//!
//! Runs a command, or watches a process, and looks at the goroutines of its Go processes every few
//! milliseconds from outside: no eBPF, and for one's own children no rights. Exit status 0: no leak;
//! 1: leak found; 2: it could not be judged.

mod kind;
mod growth;
mod standing;
mod rules;
mod tree;
mod report;
mod text;
mod junit;
mod github;
mod process;
mod observe;
mod command;

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;

pub(super) use self::kind::Allowed;
use self::{
    observe::Observer,
    process::Wanted,
    report::{Report, Verdict},
};
use super::{failure::Failure, value::ReportForm};
use crate::{
    discover::{error::DiscoverError, identity::Pid, proc_fs::ProcFs},
    show::{escape::escape_json, table::terminal_width},
};

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A command that is started, and all that it starts.
    Command(Vec<std::ffi::OsString>),
    /// A process that runs already.
    Pid(Pid),
}

/// What the options say.
#[derive(Clone, Debug)]
pub(super) struct CheckSettings {
    pub(super) target: Target,
    /// Goroutines that have not run for so long are settled.
    pub(super) settle: Duration,
    /// For how long a process is watched that runs already.
    pub(super) lasting: Duration,
    pub(super) allowed: Allowed,
    pub(super) strict: bool,
    pub(super) ignore_exit: bool,
    pub(super) form: ReportForm,
    /// The file that the report is written to, instead of the output.
    pub(super) report: Option<PathBuf>,
}

/// Exit status where it could not be judged.
const COULD_NOT: u8 = 2;

pub(super) fn run(settings: &CheckSettings) -> anyhow::Result<ExitCode> {
    match check(settings) {
        Ok(code) => Ok(ExitCode::from(code)),
        // Whatever keeps it from judging has this status, and 1 is a leak.
        Err(error) => {
            super::failure::report(&error);
            Ok(ExitCode::from(COULD_NOT))
        }
    }
}

fn check(settings: &CheckSettings) -> anyhow::Result<u8> {
    let procfs = ProcFs::new("/proc");
    let CheckSettings { settle, strict, allowed, .. } = settings;
    let wanted = Wanted { settle: *settle, strict: *strict, allowed };
    let mut observer = Observer::new(&procfs, wanted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = match &settings.target {
        Target::Command(line) => Some(runtime.block_on(command::run(line, &mut observer))?),
        Target::Pid(pid) => {
            let id = procfs.identity(*pid).map_err(|error| refused(&error))?;
            runtime.block_on(command::watch(id, settings.lasting, &mut observer))?;
            None
        }
    };
    let watch = report::Watch { ended, ..observer.finish() };
    let report = Report::new(watch, settings.settle, settings.ignore_exit);
    let form = settings.form;
    let unknown = report.verdict == Verdict::Unknown;
    match &settings.report {
        Some(path) => {
            write(path, &written(&report, form, None)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            if !unknown {
                writeln!(io::stderr().lock(), "{}", text::verdict(&report))?;
            }
        }
        None => {
            let mut text = written(&report, form, terminal_width(&io::stdout()))?;
            if unknown && form == ReportForm::Table {
                // The error says it.
                text.truncate(text.len().saturating_sub(text::verdict(&report).len() + 1));
            }
            io::stdout().lock().write_all(text.as_bytes())?;
        }
    }
    if unknown {
        let reason = report.reason.clone().unwrap_or_default();
        Failure::new(format!("could not judge: {reason}")).hint(report.hint).print();
    }
    Ok(report.verdict.code())
}

fn refused(error: &DiscoverError) -> Failure {
    Failure::new(error.to_string()).hint("`goroscope ps` lists the Go processes in sight")
}

fn written(report: &Report, form: ReportForm, width: Option<usize>) -> anyhow::Result<String> {
    Ok(match form {
        ReportForm::Table => text::text(report, width),
        ReportForm::Json => escape_json(&serde_json::to_string_pretty(report)?) + "\n",
        ReportForm::Junit => junit::xml(report)?,
        ReportForm::Github => github::annotations(report, env::current_dir().ok().as_deref()),
    })
}

/// Writes a file under another name first, so that no half report is ever under its own.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let name = path.file_name().context("it is no name of a file")?.to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .inspect_err(|_| drop(fs::remove_file(&new)))?;
    Ok(())
}
