//! `goroscope trace`: records for a while what goroutines and their threads do, and says where the
//! time went that goroutines were kept waiting.

mod args;
mod target;
mod record;
mod names;
mod cost;
mod chrome;
mod report;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

pub(super) use self::args::{TRACE_HELP, TraceArgs, TraceConfig};
use self::{
    names::Names,
    record::{Ended, Recording},
    report::Report,
    target::Target,
};
use super::{dump::Output, failure::Failure};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    model::trace::{Trace, advise},
    probe::{ProbeError, Tracer},
    show::table::terminal_width,
};

/// What the options say.
#[derive(Clone, Debug)]
pub(super) struct TraceSettings {
    pub(super) pid: Pid,
    pub(super) duration: Duration,
    /// The file for the events; `None` for the summary alone.
    pub(super) output: Option<PathBuf>,
    /// Bytes of the kernel's ring buffer: a power of two.
    pub(super) ring_bytes: u32,
    /// Events that are kept at most; the trace ends with the last.
    pub(super) max_events: usize,
    /// Goroutines in the summary.
    pub(super) top: usize,
}

pub(super) fn run(settings: &TraceSettings) -> anyhow::Result<ExitCode> {
    let procfs = ProcFs::new("/proc");
    let mut target = Target::open(&procfs, settings.pid)?;
    // A name that cannot be written to is said before the time is spent, not afterwards.
    let file = settings.output.as_deref().map(Output::create).transpose()?;
    let mut tracer =
        Tracer::load(target.layout(), settings.ring_bytes).map_err(|error| refused(&error))?;
    let hit = tracer.calibrate().map_err(|error| refused(&error))?;
    let mut names = Names::new(&mut target);
    let host = target.host();
    let recording = record::record(&mut tracer, &procfs, &target, settings)?;
    let Recording { records, window, ended, losses, run_times, threads } = recording;
    if ended != Ended::Gone {
        names.look_again(&mut target);
    }
    let mut cost = cost::Cost::new(&records, losses, hit, run_times, window);
    // What stands for it on arm64 is not emulated either.
    cost.at_least = cfg!(target_arch = "x86_64") && !target.point.emulated;
    let trace = Trace::new(records, window);
    names.learn(&target, trace.goroutines.iter().map(|track| track.startpc));
    let totals = trace.totals();
    let advice = advise(&totals, window, host);
    let report = Report {
        pid: settings.pid,
        go_version: &target.binary.facts.go_version,
        trace: &trace,
        totals,
        advice,
        host,
        cost,
        losses,
        ended,
        names: &names,
        threads: &threads,
        top: settings.top,
        output: settings.output.as_deref(),
    };
    if let Some(mut file) = file {
        file.write(|out| chrome::write(out, &report))?;
    }
    let text = report::text(&report, terminal_width(&io::stdout()));
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What the kernel does not let us do.
fn refused(error: &ProbeError) -> Failure {
    let hint = match error {
        ProbeError::Unseen(_) => "`goroscope ps` lists the Go processes in sight",
        ProbeError::Btf(_) | ProbeError::NoTypes(_) => {
            "a trace needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF); `goroscope doctor` tells what \
             this one has"
        }
        _ => {
            "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN and CAP_SYS_PTRACE; \
             `goroscope doctor` tells what is missing"
        }
    };
    Failure::new(format!("cannot trace: {error}")).hint(hint)
}

#[cfg(test)]
mod tests;
