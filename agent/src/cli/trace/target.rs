//! The process that is traced: its binary, and where its runtime keeps what a trace reads.

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use goroscope_ebpf_probes::trace::TraceLayout;
use rustix::thread::{CpuSet, sched_getaffinity};

use super::super::{failure::Failure, target};
use crate::{
    discover::{
        error::DiscoverError,
        identity::{Pid, ProcessId},
        proc_fs::ProcFs,
    },
    inspect::{Binary, ProbePoint, address::LoadBias, inspect},
    model::trace::Host,
    probe::Scope,
    read::{ReadError, RuntimeFacts, RuntimeReader, process_memory::ProcessMemory},
    run::opening,
};

/// How long a process may take whose runtime has only just begun.
const STARTING: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// The process that is traced.
pub(super) struct Target {
    pub(super) id: ProcessId,
    pub(super) binary: Arc<Binary>,
    pub(super) bias: LoadBias,
    /// Where the uprobe goes.
    pub(super) point: ProbePoint,
    pub(super) reader: RuntimeReader<ProcessMemory>,
    /// A live thread of it, by which the uprobe is attached to it alone.
    thread: NonZeroU32,
    /// What leads to its executable.
    pub(super) exe: PathBuf,
}

impl Target {
    pub(super) fn open(procfs: &ProcFs, pid: Pid) -> Result<Self, Failure> {
        let no_process = |error: DiscoverError| target::refused(&error);
        let id = procfs.identity(pid).map_err(no_process)?;
        let leader = procfs.status(pid).map_err(no_process)?.leader;
        if leader != pid {
            return Err(target::refused(&DiscoverError::Thread { pid, leader }));
        }
        let file = procfs.open_exe(pid).map_err(no_process)?;
        let link = procfs.exe_link(pid).map_err(no_process)?;
        let binary = inspect(file);
        let binary = binary.map_err(|error| target::not_inspected(pid, &link.path, &error))?;
        let binary = Arc::new(binary);
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(format!("cannot trace process {pid}: {error}"))
        };
        let point = binary.status_change().map_err(|error| {
            cannot(&error).hint("its function table is not as Go's linker writes it")
        })?;
        let facts = RuntimeFacts::of(&binary).map_err(|error| {
            cannot(&error).hint("a trace needs to know how this release of Go keeps its records")
        })?;
        let (reader, bias) =
            open(procfs, pid, &binary, Arc::new(facts)).map_err(|error| match error {
                ReadError::NotStarted => cannot(&error).hint("try again in a moment"),
                _ => cannot(&error).hint(
                    "run as root, or with CAP_SYS_PTRACE; `goroscope doctor` tells what is missing",
                ),
            })?;
        let gone = || no_process(DiscoverError::Gone { pid, path: procfs.root().to_path_buf() });
        let thread = procfs.live_thread(pid).map_err(no_process)?;
        let thread = thread.and_then(|thread| NonZeroU32::new(thread.0)).ok_or_else(gone)?;
        // The id may be another's by now.
        if procfs.is_gone(id) {
            return Err(gone());
        }
        let exe = procfs.root().join(thread.to_string()).join("exe");
        Ok(Self { id, binary, bias, point, reader, thread, exe })
    }

    /// What the uprobe reads of the runtime's records.
    pub(super) fn layout(&self) -> TraceLayout {
        let layout = &self.reader.facts().layout;
        TraceLayout {
            goid: layout.g.goid,
            waitreason: layout.g.waitreason,
            startpc: layout.g.startpc,
            g_m: layout.g.m,
            m_p: layout.m.p,
            p_id: layout.p.id,
        }
    }

    /// For whom the uprobe is: others that run the same file pay nothing.
    pub(super) fn scope(&self) -> Scope {
        Scope::Process(self.thread)
    }

    /// What it has to run on.
    pub(super) fn host(&mut self) -> Host {
        let gomaxprocs = self.reader.counts().map_or(0, |counts| counts.gomaxprocs);
        let pid = i32::try_from(self.thread.get()).ok().and_then(rustix::process::Pid::from_raw);
        let cpus = pid.and_then(|pid| sched_getaffinity(Some(pid)).ok());
        let cpus = cpus.as_ref().map_or(0, CpuSet::count);
        Host { gomaxprocs, cpus: cpus.into() }
    }
}

/// Opens the runtime; one that has only just begun, or that changes what is
/// read, is looked at again for a little.
fn open(
    procfs: &ProcFs,
    pid: Pid,
    binary: &Arc<Binary>,
    facts: Arc<RuntimeFacts>,
) -> Result<(RuntimeReader<ProcessMemory>, LoadBias), ReadError> {
    let deadline = Instant::now() + STARTING;
    loop {
        let opened = match opening::load_bias(procfs, pid, binary) {
            Some(bias) => opening::open(procfs, pid, binary, Arc::clone(&facts), bias)
                .map(|reader| (reader, bias)),
            None => Err(ReadError::NotStarted),
        };
        match opened {
            Err(error) if error.may_pass() && Instant::now() < deadline => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
}
