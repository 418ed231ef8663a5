//! `goroscope dump`

mod args;
mod only;
mod output;
mod progress;
mod summary;

use std::{
    io::{self, BufWriter, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
};

pub(super) use self::{
    args::{DumpArgs, DumpConfig},
    output::Output,
};
use self::{only::Only, summary::summary};
use super::{failure::Failure, target::Target};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    dumps::{self, Format},
    model::dump::Dump,
    read::{MemoryError, ReadError, RuntimeFacts},
    run::dumping::{DumpError, Dumper},
};

pub(super) fn run(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let only = Only::new(&args.only)?;
    let format = args.format.unwrap_or(Format::Text);
    let summarize = args.summary.unwrap_or(false);
    if summarize && args.output.is_some() {
        let failure = Failure::usage("a summary goes to the terminal, not to a file");
        return Err(failure.hint("give either --summary or --output, not both").into());
    }
    let for_people = format.is_for_people() || summarize || args.output.is_some();
    if !for_people && io::stdout().is_terminal() {
        let failure = Failure::usage(format!("the form {format} is nothing for a terminal"));
        return Err(failure.hint("name a file with --output FILE, or send it on with |").into());
    }
    let file = args.output.as_deref().map(Output::create).transpose()?;
    let mut dump = take(Pid(args.pid.0), &only)?;
    if let Some(why) = &dump.unsampled {
        // Where there is no stderr there is nobody to tell.
        let _ =
            writeln!(io::stderr().lock(), "goroutines that run are shown without a stack: {why}");
    }
    let system = dump.goroutines.iter().filter(|goroutine| goroutine.system).count();
    if !args.system.unwrap_or(false) && !format.marks_system() {
        dump.goroutines.retain(|goroutine| !goroutine.system);
    }
    dump.goroutines.truncate(args.only.limit());
    if summarize {
        io::stdout().lock().write_all(summary(&dump, system).as_bytes())?;
    } else if let Some(mut file) = file {
        file.write(|out| dumps::write(format, &dump, out))?;
        // Where there is no stderr there is nobody to tell.
        let _ = io::stderr().lock().write_all(summary(&dump, system).as_bytes());
    } else {
        let mut out = BufWriter::new(io::stdout().lock());
        dumps::write(format, &dump, &mut out)?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn take(pid: Pid, only: &Only) -> Result<Dump, Failure> {
    let mut dumper = open(pid)?;
    let dump = progress::with_progress(|seen| {
        dumper.dump(&|goroutine| {
            seen.fetch_add(1, Ordering::Relaxed);
            only.admits(goroutine)
        })
    });
    dump.map_err(|error| failed(&error))
}

/// Finds out how to take dumps of a process.
pub(super) fn open(pid: Pid) -> Result<Dumper, Failure> {
    let procfs = ProcFs::new("/proc");
    let Target { id, exe, binary } = Target::find(&procfs, pid)?;
    let facts = RuntimeFacts::of(&binary).map(Arc::new);
    let facts = facts.map_err(|error| failed(&DumpError::Read { id, error }))?;
    Dumper::open(&procfs, id, exe, &binary, &facts).map_err(|error| failed(&error))
}

/// What to do about it.
pub(super) fn failed(error: &DumpError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        DumpError::Discover(error) => super::target::refused(error),
        DumpError::Read { error: ReadError::Memory(MemoryError::NotPermitted), .. } => {
            failure.hint("run as root; `goroscope doctor` tells what is missing")
        }
        DumpError::Read { error, .. } if error.is_transient() => {
            failure.hint("it is worth another try in a moment")
        }
        DumpError::Read { .. } => failure.hint("`goroscope ps` tells how well it can be watched"),
        DumpError::Ended(_) => failure.hint("`goroscope ps` lists the Go processes in sight"),
        DumpError::TooMany(_) => failure.hint("ask for fewer, by --state, --reason or --site"),
    }
}
