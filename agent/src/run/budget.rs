//! Keeps the probes within their budget: takes them off a process that they cost too much, and
//! brings them back.
//!
//! Probes on a file are hit by all processes that run it. To take them off one of these, the
//! others get probes of their own first; these carry a number of their own, and a process counts
//! the hits of one number only, so that none is missed or counted twice when the number changes.

use std::time::{Duration, Instant};

use super::{
    binaries::Number,
    detacher::Leaving,
    drift::{Comparison, DriftMeter},
    engine::Engine,
    settings::ProbesMode,
    spending::Spending,
};
use crate::{
    discover::identity::Pid,
    model::{probed::Births, watch::Watch},
    probe::{ProbeError, Slot},
    read::Counts,
};

/// What a hit is taken to cost where that could not be measured, in seconds.
const ASSUMED_COST: f64 = 2e-6;

impl Engine {
    fn cost(&self) -> f64 {
        self.seconds_per_hit.unwrap_or(ASSUMED_COST).max(1e-9)
    }

    fn hits(&self, slot: Slot) -> Option<u64> {
        let counts = self.probes.as_ref().ok()?.goroutines(slot).ok()?;
        Some(counts.created.saturating_add(counts.exited))
    }

    /// A process has been taken on, and is probed: it gets its allowance.
    pub(super) fn grant(&mut self, pid: Pid) {
        let now = Instant::now();
        let share = self.settings.probe_budget;
        let Some(slot) = self.watched.get(&pid).and_then(|watched| watched.slot) else { return };
        let Some(hits) = self.hits(slot) else { return };
        if let Some(watched) = self.watched.get_mut(&pid) {
            // What it did before it was looked at counts: that is at most a few milliseconds.
            watched.spending = Some(Spending::new(share, 0, now));
        }
        if self.settings.probes == ProbesMode::Auto {
            self.account(pid, slot, hits, now);
        }
    }

    /// The probes may cost each process another share from now on.
    pub(super) fn rebudget(&mut self, share: f64) {
        let now = Instant::now();
        let mut attached = Vec::new();
        for (pid, watched) in &mut self.watched {
            let Some(spending) = &mut watched.spending else { continue };
            spending.reshare(share, now);
            attached.extend(watched.slot.map(|slot| (*pid, slot)));
        }
        if self.settings.probes == ProbesMode::Auto {
            attached.into_iter().for_each(|(pid, slot)| self.renew(pid, slot));
        }
    }

    /// The kernel's side says that a process has spent its allowance.
    pub(super) fn spent(&mut self, pid: Pid, told_of: Option<Slot>) {
        let Some(slot) = self.watched.get(&pid).and_then(|watched| watched.slot) else { return };
        // The event may be of a process that had the id before.
        if Some(slot) != told_of || self.settings.probes != ProbesMode::Auto {
            return;
        }
        if let Some(hits) = self.hits(slot) {
            self.account(pid, slot, hits, Instant::now());
        }
    }

    /// Settles what the probes cost a process: it gets more, or they are taken off.
    fn account(&mut self, pid: Pid, slot: Slot, hits: u64, now: Instant) {
        let cost = self.cost();
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        let Some(spending) = watched.spending.as_mut().filter(|s| !s.is_paused()) else { return };
        match spending.spent_at(hits, cost, now) {
            Some(most) => {
                if let Ok(probes) = &mut self.probes
                    && let Err(error) = probes.allow(slot, most)
                {
                    tracing::warn!(pid = pid.0, %error, "the probes' budget cannot be watched");
                }
            }
            None => self.pause(pid, slot, now),
        }
    }

    fn pause(&mut self, pid: Pid, slot: Slot, now: Instant) {
        self.reconcile(pid);
        self.count_by(pid, slot, Number::NONE);
        let percent = self.settings.probe_budget * 100.0;
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        tracing::info!(
            pid = pid.0,
            exe = watched.exe,
            "probes off for a while: they cost more than {percent} % of a core"
        );
        watched.probes = Watch::Paused(format!(
            "off for a while: they cost more than {percent} % of a core (--probe-budget)"
        ));
        if let Some(spending) = &mut watched.spending {
            spending.pause(now);
        }
        match (watched.attachment.take(), watched.binary) {
            (Some(attachment), _) => self.detacher.detach(Leaving { attachment, lease: None }),
            (None, Some(number)) => self.share_out(number),
            (None, None) => {}
        }
    }

    /// Gives the processes of a binary probes of their own, and takes the common ones off.
    fn share_out(&mut self, number: Number) {
        for user in self.users(number) {
            let Some(watched) = self.watched.get(&user) else { continue };
            if watched.probes == Watch::Ok && watched.attachment.is_none() {
                self.attach_own(user, number);
            }
        }
        if let Some(leaving) = self.binaries.get(number).and_then(|known| known.share_out()) {
            self.detacher.detach(leaving);
        }
    }

    fn users(&mut self, number: Number) -> Vec<Pid> {
        self.binaries.get(number).map(|known| known.users()).unwrap_or_default()
    }

    /// Attaches probes for one process, with a number of their own.
    fn attach_own(&mut self, pid: Pid, number: Number) {
        let own = self.binaries.fresh_number();
        let attached = self.attach_for_one(pid, number, own);
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        match (attached, watched.slot) {
            (Ok(attachment), Some(slot)) => {
                watched.attachment = Some(attachment);
                watched.probes = Watch::Ok;
                self.count_by(pid, slot, own);
            }
            (Ok(attachment), None) => {
                self.detacher.detach(Leaving { attachment, lease: None });
            }
            (Err(reason), _) => watched.probes = Watch::Failed(reason),
        }
    }

    /// Has the hits that carry this number count for a process.
    pub(super) fn count_by(&mut self, pid: Pid, slot: Slot, number: Number) {
        let Ok(probes) = &mut self.probes else { return };
        let done = probes.allow(slot, 0).and_then(|()| probes.count_by(pid.0, slot, number.0));
        match done {
            // It has ended; its event is on its way.
            Ok(_) | Err(ProbeError::Unseen(_)) => {}
            Err(error) => tracing::warn!(pid = pid.0, %error, "probes cannot be exchanged"),
        }
    }

    /// Brings back the probes of processes for which it is time.
    pub(super) fn review_budgets(&mut self) {
        let now = Instant::now();
        let cost = self.cost();
        let mut calm = Vec::new();
        for (pid, watched) in &mut self.watched {
            let Some(spending) = watched.spending.as_mut().filter(|s| s.is_paused()) else {
                continue;
            };
            let created = watched.reading.counts(*pid).map(|counts| counts.created);
            if spending.may_resume(created, cost, now) {
                calm.push(*pid);
            }
        }
        for pid in calm {
            self.resume(pid, now);
        }
    }

    fn resume(&mut self, pid: Pid, now: Instant) {
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        let (Some(number), Some(slot)) = (watched.binary, watched.slot) else { return };
        watched.drift = DriftMeter::default();
        let others_pause = self.users(number).into_iter().any(|user| {
            user != pid && self.watched.get(&user).is_some_and(|user| user.is_paused())
        });
        if others_pause || self.settings.selection.only_pids().is_some() {
            self.attach_own(pid, number);
        } else {
            self.bring_together(number);
        }
        let Some(hits) = self.hits(slot) else { return };
        if let Some(watched) = self.watched.get_mut(&pid) {
            tracing::info!(pid = pid.0, exe = watched.exe, "probes are back");
            if let Some(spending) = &mut watched.spending {
                spending.resume(hits, now);
            }
        }
        self.account(pid, slot, hits, now);
    }

    /// Attaches common probes for the processes of a binary, and takes their own off.
    fn bring_together(&mut self, number: Number) {
        let users = self.users(number);
        let Some(first) = users.first().copied() else { return };
        let attached = self.attach_for_all(first, number);
        for user in users {
            let Some(watched) = self.watched.get_mut(&user) else { continue };
            let own = watched.attachment.take();
            match (&attached, watched.slot) {
                (Ok(()), Some(slot)) => {
                    watched.probes = Watch::Ok;
                    self.count_by(user, slot, number);
                    self.renew(user, slot);
                }
                (Err(reason), _) if own.is_none() => {
                    watched.probes = Watch::Failed(reason.clone());
                }
                _ => {}
            }
            if let Some(attachment) = own {
                self.detacher.detach(Leaving { attachment, lease: None });
            }
        }
    }

    /// The allowance of a process that goes on with other probes.
    fn renew(&mut self, pid: Pid, slot: Slot) {
        if let Some(hits) = self.hits(slot) {
            self.account(pid, slot, hits, Instant::now());
        }
    }

    /// Reads the runtime's counts, and compares them with those of the probes.
    pub(super) fn reconcile(&mut self, pid: Pid) -> Option<Counts> {
        let watched = self.watched.get_mut(&pid)?;
        let probing = (watched.probes == Watch::Ok).then_some(watched.slot).flatten();
        let probes = self.probes.as_ref().ok();
        let births = || {
            let counts = probes.zip(probing).and_then(|(p, slot)| p.goroutines(slot).ok())?;
            Some(Births { created: counts.created, exited: counts.exited })
        };
        let before = births();
        let counts = watched.reading.counts(pid)?;
        if let (Some(before), Some(after), true) = (before, births(), counts.settled) {
            let runtime = Births { created: counts.created, exited: counts.exited };
            let known = watched.drift.drift();
            // At most one for each thread, and the numbers that a processor takes at a time.
            let in_between = counts.threads.saturating_add(16 * counts.gomaxprocs);
            let comparison = Comparison { before, after, runtime, in_between };
            watched.drift.compare(comparison, Instant::now());
            let drift = watched.drift.drift();
            if drift != known && drift.is_some_and(|drift| (drift.created, drift.exited) != (0, 0))
            {
                tracing::warn!(
                    pid = pid.0,
                    exe = watched.exe,
                    created = drift.map(|drift| drift.created),
                    exited = drift.map(|drift| drift.exited),
                    "the probes' counts are not the runtime's"
                );
            }
        }
        Some(counts)
    }

    /// Compares the counts of all processes.
    pub(super) fn reconcile_all(&mut self) {
        for pid in self.watched.keys().copied().collect::<Vec<_>>() {
            self.reconcile(pid);
        }
    }
}

/// How long the probes of a process were off, in seconds.
pub(super) fn gap_seconds(spending: Option<&Spending>, now: Instant) -> f64 {
    spending.map_or(Duration::ZERO, |spending| spending.gap(now)).as_secs_f64()
}
