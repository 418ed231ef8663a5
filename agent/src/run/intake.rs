//! Takes processes on: from a process id to a watched process.

use std::{fmt, io, num::NonZeroU32, path::PathBuf, sync::Arc, time::Instant};

use super::{
    binaries::Number, drift::DriftMeter, engine::Engine, observe::now, opening, reading::Reading,
    settings::ProbesMode, watched::Watched,
};
use crate::{
    discover::{
        error::DiscoverError,
        identity::{Pid, ProcessId},
    },
    inspect::{InspectError, cache::FileKey},
    model::{process::BinaryFacts, watch::Watch},
    probe::Attachment,
};

/// Why a process is not watched.
#[derive(Debug)]
pub(super) enum Passed {
    /// It is outside the selection.
    NotSelected,
    /// It runs no Go program.
    NotGo(InspectError),
    /// It could not be looked at.
    Unreadable(DiscoverError),
    /// Its file could not be read.
    File(io::Error),
}

/// Probes that count for a process.
struct Probed {
    /// The number that its hits carry.
    number: Number,
    /// The probes, where they are its own.
    own: Option<Attachment>,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => f.write_str("it is excluded"),
            Self::NotGo(error) => error.fmt(f),
            Self::Unreadable(error) => error.fmt(f),
            Self::File(error) => write!(f, "its executable cannot be read: {error}"),
        }
    }
}

impl Engine {
    /// Looks at a process, and watches it if it is selected and runs a Go program. `hit`: one of
    /// our probes was hit by it, and the kernel's side knows it already, under this id.
    pub(super) fn consider(&mut self, pid: Pid, hit: Option<u32>) {
        if self.watched.contains_key(&pid) || self.proc.own_pid() == Some(pid) {
            return;
        }
        let id = match self.proc.identity(pid) {
            Ok(id) => id,
            Err(error) => {
                if self.settings.selection.names(pid) {
                    self.refused.insert(pid, error.to_string());
                }
                return tracing::trace!(%error, "passed over");
            }
        };
        match self.examine(id) {
            // It ended meanwhile, and its event may have come too early.
            Ok(watched) if self.is_over(id) => self.dismiss(watched),
            Ok(mut watched) => {
                self.owners.name(&mut watched.origin, pid);
                tracing::info!(
                    pid = pid.0,
                    exe = watched.exe,
                    go = watched.facts.as_ref().map(|facts| facts.go_version.as_str()),
                    probes = watched.probes.as_str(),
                    "watching"
                );
                let probed = watched.probes == Watch::Ok;
                self.watched.insert(pid, watched);
                if probed {
                    self.grant(pid);
                }
            }
            Err(passed) => self.pass_over(id, hit, &passed),
        }
    }

    /// Is the process gone, dead, or another one by now?
    fn is_over(&self, id: ProcessId) -> bool {
        // A process goes on when its main thread has ended, as long as there is another.
        self.proc.identity(id.pid).map_or(true, |now| now != id)
            || self.proc.live_thread(id.pid).map_or(true, |thread| thread.is_none())
    }

    fn pass_over(&mut self, id: ProcessId, hit: Option<u32>, passed: &Passed) {
        let pid = id.pid;
        if self.settings.selection.names(pid) {
            tracing::warn!(pid = pid.0, reason = %passed, "asked for, but not watched");
            self.refused.insert(pid, passed.to_string());
        } else {
            tracing::trace!(pid = pid.0, reason = %passed, "passed over");
        }
        // Its hits of a shared binary's probes are not counted from now on.
        if let Some(tgid) = hit {
            self.ignore(tgid);
        }
        self.passed.insert(id);
    }

    fn examine(&mut self, id: ProcessId) -> Result<Watched, Passed> {
        let pid = id.pid;
        let admitted = self.settings.selection.admits(&self.proc, pid);
        if !admitted.map_err(Passed::Unreadable)? {
            return Err(Passed::NotSelected);
        }
        let exe = self.proc.exe_link(pid).map_err(Passed::Unreadable)?;
        let file = self.proc.open_exe(pid).map_err(Passed::Unreadable)?;
        let key = FileKey::of(&file.metadata().map_err(Passed::File)?);
        let stat = self.proc.stat(pid).ok();
        let mut watched = Watched {
            id,
            started_at: self.proc.started_at(id.start).unwrap_or(0.0),
            watched_at: now(),
            exe: exe.path.to_string_lossy().into_owned(),
            comm: stat.as_ref().map(|stat| stat.comm.clone()).unwrap_or_default(),
            origin: self.proc.origin(pid),
            facts: None,
            binary: None,
            bias: None,
            slot: None,
            attachment: None,
            probes: Watch::Off,
            spending: None,
            drift: DriftMeter::default(),
            reading: Reading::new(),
            stack_start: stat.as_ref().map_or(0, |stat| stat.stack_start),
        };
        match self.cache.inspect(file) {
            Ok(binary) => {
                watched.facts = Some(BinaryFacts::from(&binary.facts));
                let number = self.binaries.used_by(pid, key, Arc::clone(&binary));
                watched.binary = Some(number);
                watched.bias = opening::load_bias(&self.proc, pid, &binary);
                let probed = self.attach(pid, number);
                let counted_by = match &probed {
                    Ok(Some(probed)) => probed.number,
                    Ok(None) | Err(_) => Number::NONE,
                };
                self.adopt(&mut watched, counted_by);
                match probed {
                    Ok(Some(probed)) => {
                        // The kernel's side may have met it before, by probes that are gone now.
                        if let (Some(slot), true) = (watched.slot, probed.own.is_some()) {
                            self.count_by(pid, slot, probed.number);
                        }
                        watched.attachment = probed.own;
                        if watched.slot.is_some() {
                            watched.probes = Watch::Ok;
                        }
                    }
                    Ok(None) => {}
                    Err(reason) => watched.probes = Watch::Failed(reason),
                }
            }
            // A Go program that cannot be understood is shown, with the reason.
            Err(error) if error.is_about_go() => {
                watched.probes = Watch::Failed(error.to_string());
                watched.reading = Reading::never(error.to_string());
                self.adopt(&mut watched, Number::NONE);
            }
            Err(error) => return Err(Passed::NotGo(error)),
        }
        Ok(watched)
    }

    /// Attaches the probes; `None` where none are wanted. Else the number that its hits carry, and
    /// the probes, where they are its own.
    fn attach(&mut self, pid: Pid, number: Number) -> Result<Option<Probed>, String> {
        if self.settings.probes == ProbesMode::Off {
            return Ok(None);
        }
        if self.settings.selection.only_pids().is_some() {
            return self
                .attach_for_one(pid, number, number)
                .map(|own| Some(Probed { number, own: Some(own) }));
        }
        if self.binaries.get(number).is_some_and(|known| known.is_shared_out()) {
            let number_of_its_own = self.binaries.fresh_number();
            return self
                .attach_for_one(pid, number, number_of_its_own)
                .map(|own| Some(Probed { number: number_of_its_own, own: Some(own) }));
        }
        self.attach_for_all(pid, number).map(|()| Some(Probed { number, own: None }))
    }

    /// Attaches probes for one process; its hits carry the number `carried`.
    pub(super) fn attach_for_one(
        &mut self,
        pid: Pid,
        number: Number,
        carried: Number,
    ) -> Result<Attachment, String> {
        let (exe, thread) = self.exe_of(pid);
        let thread = NonZeroU32::new(thread.0).ok_or("process 0 has no memory")?;
        let probes = self.probes.as_mut().map_err(|reason| reason.clone())?;
        probes.uprobes().map_err(str::to_owned)?;
        let known = self.binaries.get(number).ok_or("its binary is gone")?;
        known.attach_one(carried, probes, &exe, thread)
    }

    /// Attaches probes for all processes that run the binary of this one, unless it has some.
    pub(super) fn attach_for_all(&mut self, pid: Pid, number: Number) -> Result<(), String> {
        let (exe, _) = self.exe_of(pid);
        let file = self.proc.open_exe(pid).map_err(|error| error.to_string())?;
        let probes = self.probes.as_mut().map_err(|reason| reason.clone())?;
        probes.uprobes().map_err(str::to_owned)?;
        let known = self.binaries.get(number).ok_or("its binary is gone")?;
        known.attach(number, probes, &exe, file)
    }

    /// A path that leads to the file that a process runs, and a thread of it that lives.
    fn exe_of(&self, pid: Pid) -> (PathBuf, Pid) {
        // `/proc/PID/exe` is gone when the main thread has ended, and so is the process's memory
        // for those who ask by its id; any living thread will do.
        let thread = self.proc.live_thread(pid).ok().flatten().unwrap_or(pid);
        (self.proc.root().join(format!("{pid}/task/{thread}/exe")), thread)
    }

    /// Has the kernel's side count for the process.
    fn adopt(&mut self, watched: &mut Watched, binary: Number) {
        let Ok(probes) = &mut self.probes else {
            return;
        };
        let pid = watched.id.pid;
        let threads = || {
            let ids = self.proc.thread_ids(pid).unwrap_or_default();
            ids.into_iter().map(|id| id.0).collect()
        };
        match probes.adopt(pid.0, binary.0, threads) {
            Ok(slot) => watched.slot = Some(slot),
            Err(error) => watched.probes = Watch::Failed(error.to_string()),
        }
    }

    /// Opens the runtimes of those processes for which it is time.
    pub(super) fn open_runtimes(&mut self) {
        let now = Instant::now();
        let due = self.watched.values().filter(|watched| watched.reading.is_due(now));
        for pid in due.map(|watched| watched.id.pid).collect::<Vec<_>>() {
            self.open_runtime(pid);
        }
    }

    fn open_runtime(&mut self, pid: Pid) {
        let Some(watched) = self.watched.get(&pid) else { return };
        let known = watched.binary.and_then(|number| self.binaries.get(number));
        let Some((binary, facts)) = known.map(|known| (Arc::clone(&known.binary), known.runtime()))
        else {
            return;
        };
        // The loader may not have been through when the process was taken on.
        let bias = watched.bias.or_else(|| opening::load_bias(&self.proc, pid, &binary));
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        watched.bias = bias;
        watched.reading.open(&self.proc, pid, &binary, facts, bias);
    }
}
