//! `goroscope ps`

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    failure::Failure,
    target::{not_inspected, refused},
    value::Output,
};
use crate::{
    discover::{
        error::DiscoverError,
        identity::Pid,
        proc_fs::ProcFs,
        scan::{Candidate, scan},
        selection::Selection,
    },
    doctor::{self, Host, Verdict},
    inspect::{
        Binary, InspectError,
        cache::{Cache, FileKey},
    },
    model::{
        json::ProcessJson,
        process::{BinaryFacts, Process},
        watch::{Watch, Watches},
    },
    names::{Wanted, find_all, settings::NamesSettings},
    read::RuntimeFacts,
    run::{
        opening::load_bias,
        reading::{Facts, Reading},
    },
    show::{
        escape::{NAME_LIMIT, PATH_LIMIT, escape, escape_json},
        table::{Align, Table, terminal_width},
    },
};

/// How long a container runtime may take to say what its containers are called.
const NAMING: Duration = Duration::from_secs(1);
/// Without these probes cannot be attached to anything.
const NEEDED_FOR_PROBES: [&str; 4] = ["kernel", "bpf", "uprobes", "uprobe permission"];

pub(super) fn run(
    selection: &Selection,
    names: &NamesSettings,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let procfs = ProcFs::new("/proc");
    let found = scan(&procfs, selection)?;
    let mut listing = Listing::new(&procfs, selection, found.candidates, found.failures);
    name(&procfs, names, &mut listing.processes)?;
    if listing.processes.is_empty()
        && (selection.only_pids().is_some() || !listing.refused.is_empty())
    {
        if listing.refused.is_empty() {
            let failure =
                Failure::new("what was asked for by its id is excluded, or is goroscope itself");
            return Err(failure.hint("leave out the --exclude-… option that it meets").into());
        }
        for failure in listing.refused {
            failure.print();
        }
        return Ok(ExitCode::FAILURE);
    }
    for failure in listing.refused {
        tracing::warn!("{failure}");
    }
    if listing.hidden > 0 {
        tracing::warn!(
            "{} processes could not be looked at; run as root, or with CAP_SYS_PTRACE",
            listing.hidden
        );
    }
    let text = match output {
        Output::Table => table(&listing.processes).render(terminal_width(&io::stdout())),
        Output::Json => {
            let json: Vec<ProcessJson<'_>> =
                listing.processes.iter().map(ProcessJson::from).collect();
            escape_json(&serde_json::to_string_pretty(&json)?) + "\n"
        }
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Gives the processes the names of their containers, as far as they can be had in a short time.
fn name(
    procfs: &ProcFs,
    settings: &NamesSettings,
    processes: &mut [Process],
) -> anyhow::Result<()> {
    let of = |process: &Process| Some((Wanted::of(&process.origin)?, process.id.pid));
    let wanted = processes.iter().filter_map(of).collect();
    let found = find_all(settings, procfs.clone(), wanted, NAMING)
        .context("cannot start a thread that looks for names of containers")?;
    if found.unsettled > 0 {
        tracing::warn!(
            "{} containers are without a name: the container runtime does not answer; --cri-socket \
             none asks it no more",
            found.unsettled
        );
    }
    for process in processes {
        let names = Wanted::of(&process.origin).and_then(|wanted| found.names.get(&wanted));
        if let Some(names) = names {
            names.give(&mut process.origin);
        }
    }
    Ok(())
}

/// What is shown, and what is said about what is not.
#[derive(Default)]
struct Listing {
    processes: Vec<Process>,
    /// Processes asked for by their ids.
    refused: Vec<Failure>,
    /// Number of other processes that this user may not look at.
    hidden: usize,
}

impl Listing {
    fn new(
        procfs: &ProcFs,
        selection: &Selection,
        candidates: Vec<Candidate>,
        failures: Vec<DiscoverError>,
    ) -> Self {
        let mut listing = Self::default();
        let refusal = probe_refusal(&Host::this());
        let mut binaries = Binaries::default();
        for error in failures {
            listing.leave_out(selection, error);
        }
        for candidate in candidates {
            let pid = candidate.id.pid;
            let file = match procfs.open_exe(pid) {
                Ok(file) => file,
                Err(error) => {
                    listing.leave_out(selection, error);
                    continue;
                }
            };
            let inspected = binaries.inspect(file);
            // Its id may be another's by now, whose executable was opened then.
            if procfs.is_gone(candidate.id) {
                let path = procfs.root().join(pid.to_string());
                listing.leave_out(selection, DiscoverError::Gone { pid, path });
                continue;
            }
            match inspected {
                Ok((binary, runtime_facts)) => {
                    let mut reading = read(procfs, pid, &binary, runtime_facts);
                    let counts = reading.counts(pid).filter(|_| !procfs.is_gone(candidate.id));
                    let runtime = counts.and_then(|counts| reading.read(counts));
                    let watch = Watches {
                        runtime: reading.watch(),
                        probes: probes(refusal.as_deref(), &binary),
                    };
                    let facts = BinaryFacts::from(&binary.facts);
                    let known = Process {
                        binary: Some(facts),
                        runtime,
                        ..process(procfs, candidate, watch)
                    };
                    listing.processes.push(known);
                }
                // A Go program that cannot be understood is shown, with the reason.
                Err(error) if error.is_about_go() => {
                    let failed = || Watch::Failed(error.to_string());
                    let watch = Watches { runtime: failed(), probes: failed() };
                    listing.processes.push(process(procfs, candidate, watch));
                }
                Err(error) if selection.names(pid) => {
                    let path = &candidate.exe.path;
                    listing.refused.push(not_inspected(pid, path, &error));
                }
                Err(error) => tracing::debug!(
                    pid = pid.0,
                    exe = escape(&candidate.exe.path.to_string_lossy(), PATH_LIMIT),
                    "left out: {error}"
                ),
            }
        }
        listing
    }

    fn leave_out(&mut self, selection: &Selection, error: DiscoverError) {
        let pid = match &error {
            DiscoverError::Gone { pid, .. }
            | DiscoverError::NotPermitted { pid, .. }
            | DiscoverError::KernelThread { pid }
            | DiscoverError::Thread { pid, .. }
            | DiscoverError::NotRegular { pid, .. }
            | DiscoverError::Malformed { pid, .. }
            | DiscoverError::Io { pid, .. } => Some(*pid),
            DiscoverError::Host { .. } => None,
        };
        if pid.is_some_and(|pid| selection.names(pid)) {
            self.refused.push(refused(&error));
        } else if matches!(error, DiscoverError::NotPermitted { .. }) {
            self.hidden = self.hidden.saturating_add(1);
        } else {
            tracing::debug!("left out: {error}");
        }
    }
}

/// Why no probe can be attached to anything here.
fn probe_refusal(host: &Host) -> Option<String> {
    let report = doctor::run(host);
    let needed = |name| NEEDED_FOR_PROBES.contains(&name);
    let failed = report
        .checks
        .into_iter()
        .find(|check| check.verdict == Verdict::Fail && needed(check.name))?;
    Some(format!("{}: {}; see `goroscope doctor`", failed.name, failed.found))
}

/// Whether the probes could be attached.
fn probes(refusal: Option<&str>, binary: &Binary) -> Watch {
    match (refusal, &binary.probe_points) {
        (Some(reason), _) => Watch::Failed(reason.to_owned()),
        (None, Err(error)) => Watch::Failed(error.to_string()),
        (None, Ok(_)) => Watch::Ok,
    }
}

/// Binaries that were looked into, and what is known of the runtime in each: processes of one
/// binary share it.
#[derive(Default)]
struct Binaries {
    cache: Cache,
    runtimes: HashMap<FileKey, Facts>,
}

impl Binaries {
    fn inspect(&mut self, file: File) -> Result<(Arc<Binary>, Facts), InspectError> {
        let key = file.metadata().ok().map(|metadata| FileKey::of(&metadata));
        let binary = self.cache.inspect(file)?;
        let facts = || RuntimeFacts::of(&binary).map(Arc::new);
        let facts = match key {
            Some(key) => self.runtimes.entry(key).or_insert_with(facts).clone(),
            None => facts(),
        };
        Ok((binary, facts))
    }
}

/// How long a process may take whose runtime has only just begun.
const STARTING: Duration = Duration::from_millis(300);

/// Opens the runtime of a process.
fn read(procfs: &ProcFs, pid: Pid, binary: &Arc<Binary>, facts: Facts) -> Reading {
    let mut reading = Reading::new();
    let deadline = Instant::now() + STARTING;
    while let Some(due) = reading.due().filter(|due| *due < deadline) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let bias = load_bias(procfs, pid, binary);
        reading.open(procfs, pid, binary, facts.clone(), bias);
    }
    reading
}

fn process(procfs: &ProcFs, candidate: Candidate, watch: Watches) -> Process {
    Process {
        id: candidate.id,
        started_at: procfs.started_at(candidate.id.start).unwrap_or_default(),
        watched_at: 0.0,
        exe: candidate.exe.path.to_string_lossy().into_owned(),
        comm: candidate.comm,
        binary: None,
        threads: Some(candidate.threads),
        runtime: None,
        probed: None,
        sites: Vec::new(),
        leaks: Vec::new(),
        sched: None,
        watch,
        origin: procfs.origin(candidate.id.pid),
    }
}

fn table(processes: &[Process]) -> Table {
    let mut table = Table::new(&[
        ("PID", Align::Right),
        ("GO", Align::Left),
        ("ARCH", Align::Left),
        ("GOROUTINES", Align::Right),
        ("CREATED", Align::Right),
        ("THREADS", Align::Right),
        ("RUNTIME", Align::Left),
        ("PROBES", Align::Left),
        ("UNIT/CONTAINER", Align::Left),
        ("EXE", Align::Left),
    ]);
    let name = |text: &str| escape(text, NAME_LIMIT);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for process in processes {
        let binary = process.binary.as_ref();
        let version = binary.map_or("-", |binary| {
            binary.go_version.strip_prefix("go").unwrap_or(&binary.go_version)
        });
        table.row(vec![
            process.id.pid.to_string(),
            name(version),
            name(binary.map_or("-", |binary| &binary.arch)),
            number(process.goroutines()),
            number(process.created()),
            number(process.threads),
            name(process.watch.runtime.as_str()),
            name(process.watch.probes.as_str()),
            name(process.origin.owner().unwrap_or("-")),
            escape(&process.exe, PATH_LIMIT),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        discover::{
            identity::{ProcessId, StartTime},
            origin::Origin,
            selection::Criteria,
        },
        model::runtime::{Counts, Runtime},
    };

    fn sample(pid: u32) -> Process {
        Process {
            id: ProcessId { pid: Pid(pid), start: StartTime(1) },
            started_at: 0.0,
            watched_at: 0.0,
            exe: "/opt/\x1b[31mapp".to_owned(),
            comm: "app".to_owned(),
            binary: Some(BinaryFacts {
                go_version: "go1.26.6".to_owned(),
                arch: "amd64".to_owned(),
                ..BinaryFacts::default()
            }),
            threads: Some(7),
            runtime: Some(Runtime {
                counts: Counts { live: 12, created: 3400, ..Counts::default() },
                ..Runtime::default()
            }),
            probed: None,
            sites: Vec::new(),
            leaks: Vec::new(),
            sched: None,
            watch: Watches { runtime: Watch::Ok, probes: Watch::Ok },
            origin: Origin { container_id: Some("0123456789abcdef".into()), ..Origin::default() },
        }
    }

    #[test]
    fn a_row() {
        assert_eq!(
            table(&[sample(42)]).render(None),
            "PID  GO      ARCH   GOROUTINES  CREATED  THREADS  RUNTIME  PROBES  UNIT/CONTAINER  EXE\n \
             42  1.26.6  amd64          12     3400        7  ok       ok      0123456789ab    \
             /opt/\\u{1b}[31mapp\n"
        );
    }

    #[test]
    fn reasons_for_what_was_asked_for() {
        let include = Criteria { pids: vec![5], ..Criteria::default() };
        let selection = Selection::new(&include, &Criteria::default()).unwrap();
        let mut listing = Listing::default();
        let path = std::path::PathBuf::from("/proc/x");
        for pid in [5, 6] {
            listing.leave_out(
                &selection,
                DiscoverError::NotPermitted { pid: Pid(pid), path: path.clone() },
            );
            listing
                .leave_out(&selection, DiscoverError::Gone { pid: Pid(pid), path: path.clone() });
        }
        assert_eq!((listing.refused.len(), listing.hidden), (2, 1));
    }
}
