//! Takes other settings while the engine runs.

use super::{
    detacher::Leaving,
    engine::Engine,
    mailbox::Pulse,
    settings::{AgentSettings, ProbesMode},
};
use crate::discover::identity::Pid;

impl Engine {
    /// How much is watched: an answer is the proof that the engine lives.
    pub(super) fn pulse(&mut self) -> Pulse {
        let counts = self.watched.iter_mut().map(|(pid, watched)| watched.reading.counts(*pid));
        let goroutines = counts.flatten().map(|counts| counts.live).sum();
        Pulse { processes: u64::try_from(self.watched.len()).unwrap_or(u64::MAX), goroutines }
    }

    /// Takes other settings, those of the kernel's tables excepted.
    ///
    /// # Errors
    ///
    /// What cannot be had here; then everything stays as it was.
    pub(super) fn reconfigure(&mut self, new: AgentSettings) -> Result<(), String> {
        let old = std::mem::replace(&mut self.settings, new);
        if let Some(reason) = self.probes_missing().or_else(|| self.nobody_there()) {
            self.settings = old;
            return Err(reason);
        }
        let by_pid = |settings: &AgentSettings| settings.selection.only_pids().is_some();
        // Probes are attached to files or to processes, and those of one kind do not know of those
        // of the other.
        if old.probes != self.settings.probes || by_pid(&old) != by_pid(&self.settings) {
            self.start_over();
        } else {
            self.drop_unselected();
        }
        if old.probe_budget.to_bits() != self.settings.probe_budget.to_bits() {
            self.rebudget(self.settings.probe_budget);
        }
        self.scanning.reshare(self.settings.goroutine_scan_budget);
        if self.settings.probes != ProbesMode::Off && self.seconds_per_hit.is_none() {
            self.calibrate();
        }
        self.look_anew();
        Ok(())
    }

    /// Where processes are asked for by their ids only and there is none of them: why.
    fn nobody_there(&self) -> Option<String> {
        let asked = self.settings.selection.only_pids()?;
        let mut errors = Vec::new();
        for pid in asked {
            errors.push(self.proc.identity(*pid).err()?.to_string());
        }
        Some(errors.join("; "))
    }

    /// Forgets all processes and binaries; the next look takes them on anew.
    fn start_over(&mut self) {
        for pid in self.watched.keys().copied().collect::<Vec<_>>() {
            self.vanished(pid);
        }
        for Leaving { attachment, lease } in self.binaries.clear() {
            self.detacher.detach(Leaving { attachment, lease });
        }
    }

    /// Forgets the processes that are outside the selection.
    fn drop_unselected(&mut self) {
        let is_out = |pid: &Pid| {
            // What cannot be read might be what excludes it.
            !self.settings.selection.admits(&self.proc, *pid).unwrap_or(false)
        };
        let out: Vec<Pid> = self.watched.keys().copied().filter(is_out).collect();
        for pid in out {
            tracing::info!(pid = pid.0, "no longer watched: it is outside the selection now");
            self.vanished(pid);
        }
    }

    /// Looks at all processes, also at those that were passed over.
    fn look_anew(&mut self) {
        self.refused.clear();
        for id in std::mem::take(&mut self.passed) {
            if let Ok(probes) = &mut self.probes {
                probes.unignore(id.pid.0);
            }
        }
        self.scan();
    }
}
