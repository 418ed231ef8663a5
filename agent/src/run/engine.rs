//! The engine: owns all that is known, and keeps it true.

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    binaries::Binaries,
    detacher::{Detacher, Leaving, detach_all},
    diagnostics::Diagnostics,
    mailbox::{Mailbox, Request},
    owners::Owners,
    recording::Records,
    scanning::Scanning,
    settings::{AgentSettings, ProbesMode},
    watched::Watched,
};
use crate::{
    discover::{
        identity::{Pid, ProcessId},
        proc_fs::ProcFs,
    },
    inspect::cache::Cache,
    probe::{
        Probes, Slot,
        calibrate::calibrate,
        events::{Event, Events, What},
    },
};

/// How often slots are freed, and leases and losses are looked at.
const TICK: Duration = Duration::from_secs(1);

/// The engine.
pub(super) struct Engine {
    pub(super) settings: AgentSettings,
    pub(super) proc: ProcFs,
    pub(super) cache: Cache,
    /// The kernel's side, or why there is none.
    pub(super) probes: Result<Probes, String>,
    pub(super) binaries: Binaries,
    pub(super) watched: BTreeMap<Pid, Watched>,
    /// Looked at and passed over; looked at again when they exec.
    pub(super) passed: HashSet<ProcessId>,
    pub(super) detacher: Detacher,
    /// Asked for by their ids, and not watched, for these reasons.
    pub(super) refused: BTreeMap<Pid, String>,
    /// Seconds since the Unix epoch.
    pub(super) started_at: f64,
    /// What a uprobe hit costs its target.
    pub(super) seconds_per_hit: Option<f64>,
    /// Looks at all goroutines.
    pub(super) scanning: Scanning,
    /// What the containers are called.
    pub(super) owners: Owners,
    /// The last minutes of the watched processes.
    pub(super) records: Records,
    events: Option<Events>,
    diagnostics: Option<Diagnostics>,
    events_lost: u64,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub(super) fn new(
        settings: AgentSettings,
        proc: ProcFs,
        mut probes: Result<Probes, String>,
        detacher: Detacher,
        owners: Owners,
        started_at: f64,
    ) -> Self {
        let events = probes.as_mut().ok().and_then(Probes::take_events);
        let diagnostics = match &mut probes {
            Ok(probes) if settings.kernel_diagnostics => Diagnostics::start(probes.object()),
            _ => None,
        };
        let scanning = Scanning::new(settings.goroutine_scan_budget);
        Self {
            settings,
            proc,
            cache: Cache::default(),
            probes,
            binaries: Binaries::default(),
            watched: BTreeMap::new(),
            passed: HashSet::new(),
            refused: BTreeMap::new(),
            detacher,
            started_at,
            seconds_per_hit: None,
            scanning,
            owners,
            records: Records::default(),
            events,
            diagnostics,
            events_lost: 0,
        }
    }

    /// Works until it is told to stop; `ready` turns true after the first scan.
    ///
    /// # Errors
    ///
    /// Why none of the processes that were asked for by their ids is watched, a line for each; or
    /// why there are no probes although they were asked for in any case.
    pub(super) fn run(mut self, mailbox: &Mailbox, ready: &AtomicBool) -> Result<(), String> {
        if let Some(reason) = self.probes_missing() {
            self.stop();
            return Err(reason);
        }
        self.calibrate();
        self.scan();
        if let Some(reasons) = self.nothing_to_do() {
            self.stop();
            return Err(reasons);
        }
        ready.store(true, Ordering::Release);
        let mut last_scan = Instant::now();
        let mut last_tick = last_scan;
        loop {
            self.wait(mailbox, self.patience(last_tick));
            self.drain_events();
            self.open_runtimes();
            for request in mailbox.take() {
                match request {
                    Request::Snapshot(reply) => {
                        let snapshot = Arc::new(self.snapshot());
                        // Who asked may have gone away.
                        let _unheard = reply.send(snapshot);
                    }
                    Request::Series(pid, reply) => {
                        let _unheard = reply.send(self.recorded(pid));
                    }
                    Request::Dumpable(pid, reply) => {
                        let _unheard = reply.send(self.dumpable(pid));
                    }
                    Request::Named(answer) => self.told_names(answer),
                    Request::Pulse(reply) => {
                        let _unheard = reply.send(self.pulse());
                    }
                    Request::Settings(settings, reply) => {
                        let _unheard = reply.send(self.reconfigure(*settings));
                    }
                    Request::Leases => self.expire(),
                    Request::Stop => {
                        self.stop();
                        return Ok(());
                    }
                }
            }
            if last_tick.elapsed() >= TICK {
                self.tick();
                last_tick = Instant::now();
            }
            self.go_on_scanning();
            if last_scan.elapsed() >= self.settings.scan_interval || self.has_lost_events() {
                self.scan();
                self.review_owners();
                self.reconcile_all();
                last_scan = Instant::now();
            }
        }
    }

    /// How long there is nothing to do, unless something happens.
    fn patience(&self, last_tick: Instant) -> Duration {
        if self.scanning.is_busy() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let to_open = self.watched.values().filter_map(|watched| watched.reading.due()).min();
        let to_open = to_open.map(|due| due.saturating_duration_since(now));
        let to_tick = TICK.saturating_sub(now.saturating_duration_since(last_tick));
        to_open.map_or(to_tick, |to_open| to_tick.min(to_open))
    }

    /// Where probes were asked for in any case and cannot be had: why.
    pub(super) fn probes_missing(&self) -> Option<String> {
        if self.settings.probes != ProbesMode::Always {
            return None;
        }
        let uprobes = match &self.probes {
            Ok(probes) => probes.uprobes(),
            Err(reason) => Err(reason.as_str()),
        };
        let reason = uprobes.err()?;
        Some(format!("--probes always, but uprobes do not work here: {reason}"))
    }

    /// Where processes were asked for by their ids only and none can be watched: why.
    fn nothing_to_do(&self) -> Option<String> {
        let asked = self.settings.selection.only_pids()?;
        if !self.watched.is_empty() {
            return None;
        }
        let reason = |pid: &Pid| {
            let reason = self.refused.get(pid).map_or("there is no such process", String::as_str);
            let who = format!("process {pid}");
            // Some reasons name it themselves.
            if reason.contains(&who) { reason.to_owned() } else { format!("{who}: {reason}") }
        };
        Some(asked.iter().map(reason).collect::<Vec<_>>().join("\n"))
    }

    /// Measures what a hit costs on this host.
    pub(super) fn calibrate(&mut self) {
        let Ok(probes) = &mut self.probes else {
            return;
        };
        if self.settings.probes == ProbesMode::Off || probes.uprobes().is_err() {
            return;
        }
        match calibrate(probes) {
            Ok((seconds, attachment)) => {
                tracing::debug!(nanoseconds = seconds * 1e9, "a hit was timed");
                self.seconds_per_hit = Some(seconds);
                self.detacher.detach(Leaving { attachment, lease: None });
            }
            Err(error) => tracing::warn!(%error, "what a hit costs could not be measured"),
        }
    }

    /// Sleeps until something happens, or the time is over.
    fn wait(&self, mailbox: &Mailbox, time: Duration) {
        let mut fds = vec![PollFd::new(mailbox, PollFlags::IN)];
        if let Some(events) = &self.events {
            fds.push(PollFd::from_borrowed_fd(events.as_fd(), PollFlags::IN));
        }
        if let Some(diagnostics) = &self.diagnostics {
            fds.push(PollFd::from_borrowed_fd(diagnostics.as_fd(), PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(1),
            tv_nsec: time.subsec_nanos().into(),
        };
        // A signal ends it early, which does no harm.
        let _ready = poll(&mut fds, Some(&timeout));
    }

    /// Takes all events that have come.
    pub(super) fn drain_events(&mut self) {
        if let Some(diagnostics) = &mut self.diagnostics {
            diagnostics.log();
        }
        // Taken out meanwhile, because what is done about an event needs all of the engine.
        let Some(mut events) = self.events.take() else {
            return;
        };
        while let Some(event) = events.take() {
            self.handle(&event);
        }
        self.events = Some(events);
    }

    fn handle(&mut self, event: &Event) {
        let visible = self.probes.as_mut().ok().and_then(|probes| probes.visible(event));
        match (visible.map(Pid), event.what) {
            (Some(pid), What::Exec) => {
                self.gone(pid, event);
                self.consider(pid, None);
            }
            (Some(pid), What::Exit) => self.gone(pid, event),
            (Some(pid), What::New) => self.consider(pid, Some(event.tgid)),
            (Some(pid), What::Spent) => self.spent(pid, event.slot),
            (None, What::Spent) => {}
            // Outside the agent's pid namespace, or gone already.
            (None, What::Exec | What::Exit) => self.release(event.slot),
            (None, What::New) => self.ignore(event.tgid),
        }
    }

    /// Has the kernel's side count nothing for a process, by the kernel's own id.
    pub(super) fn ignore(&mut self, tgid: u32) {
        if let Ok(probes) = &mut self.probes
            && let Err(error) = probes.ignore(tgid)
        {
            tracing::warn!(tgid, %error, "a process that is not watched is counted");
        }
    }

    /// A process ended or runs another image: forgets it, and says what it came to.
    fn gone(&mut self, pid: Pid, event: &Event) {
        let watched = self.watched.remove(&pid);
        if event.slot.is_some() {
            let comm = String::from_utf8_lossy(&event.comm);
            let exe = watched.as_ref().map_or(comm.trim_end_matches('\0'), |w| w.exe.as_str());
            tracing::debug!(
                pid = pid.0,
                exe,
                created = event.counts.created,
                exited = event.counts.exited,
                "process gone"
            );
        }
        let slot = event.slot.or(watched.as_ref().and_then(|watched| watched.slot));
        if let Some(watched) = watched {
            self.leave(watched);
        }
        self.release(slot);
    }

    /// Gives up what a process held of its binary.
    fn leave(&mut self, watched: Watched) {
        if let Some(attachment) = watched.attachment {
            self.detacher.detach(Leaving { attachment, lease: None });
        }
        if let Some(number) = watched.binary
            && let Some(leaving) = self.binaries.left_by(watched.id.pid, number, Instant::now())
        {
            self.detacher.detach(leaving);
        }
    }

    fn release(&mut self, slot: Option<Slot>) {
        if let (Ok(probes), Some(slot)) = (&mut self.probes, slot) {
            probes.release(slot);
        }
    }

    /// Forgets a process whose end no event told.
    pub(super) fn vanished(&mut self, pid: Pid) {
        if let Some(watched) = self.watched.remove(&pid) {
            self.dismiss(watched);
        }
    }

    /// Gives up all that was taken for a process that has ended.
    pub(super) fn dismiss(&mut self, watched: Watched) {
        tracing::debug!(pid = watched.id.pid.0, exe = watched.exe, "process gone");
        if let Ok(probes) = &mut self.probes {
            probes.forget(watched.id.pid.0);
        }
        let slot = watched.slot;
        self.leave(watched);
        self.release(slot);
    }

    /// Looks at all processes: takes on the new ones, forgets those that are gone.
    pub(super) fn scan(&mut self) {
        let tgids = self.probes.as_ref().map(Probes::tgids).unwrap_or_default();
        let pids = match self.proc.pids() {
            Ok(pids) => pids,
            Err(error) => {
                tracing::error!(%error, "processes cannot be listed");
                return;
            }
        };
        for pid in self.watched.keys().copied().collect::<Vec<_>>() {
            self.forget_if_gone(pid);
        }
        self.retry_without_room();
        if let Ok(probes) = &mut self.probes {
            let living: HashSet<u32> = pids.iter().map(|pid| pid.0).collect();
            if let Err(error) = probes.forget_dead(tgids, |pid| living.contains(&pid)) {
                tracing::warn!(%error, "the kernel's table of processes cannot be looked through");
            }
        }
        // Without events an exec is seen by a look at every process only.
        let told_of_execs = self.told_of_lifecycle();
        let mut still_passed = HashSet::new();
        for pid in pids {
            if self.watched.contains_key(&pid) {
                continue;
            }
            match self.proc.identity(pid) {
                Ok(id) if told_of_execs && self.passed.contains(&id) => {
                    still_passed.insert(id);
                }
                Ok(_) => self.consider(pid, None),
                Err(error) => tracing::trace!(%error, "passed over"),
            }
        }
        // What `consider` passed over in this round is in there too; what is gone drops out.
        if told_of_execs {
            self.passed.retain(|id| still_passed.contains(id) || !self.proc.is_gone(*id));
        } else {
            self.passed.clear();
        }
    }

    /// Forgets the processes for which there was no room, if there is now: they are looked at anew.
    fn retry_without_room(&mut self) {
        if !self.probes.as_mut().is_ok_and(Probes::has_room) {
            return;
        }
        let without: Vec<Pid> = self
            .watched
            .iter()
            .filter(|(_, watched)| watched.slot.is_none())
            .map(|(&pid, _)| pid)
            .collect();
        without.into_iter().for_each(|pid| self.vanished(pid));
    }

    /// Forgets a process if it is gone, or its id is another's by now.
    pub(super) fn forget_if_gone(&mut self, pid: Pid) {
        let Some(watched) = self.watched.get(&pid) else {
            return;
        };
        if self.proc.is_gone(watched.id) {
            self.vanished(pid);
        } else if !self.told_of_lifecycle() && self.runs_another_program(watched) {
            self.vanished(pid);
            self.consider(pid, None);
        }
    }

    /// Are starts, execs and ends of processes told by events?
    pub(super) fn told_of_lifecycle(&self) -> bool {
        self.probes.as_ref().is_ok_and(|probes| probes.lifecycle().is_ok())
    }

    /// Has it run exec since it was taken on?
    fn runs_another_program(&self, watched: &Watched) -> bool {
        // 0 and 1 are said where it is not known.
        let known = |stack_start: &u64| *stack_start > 1;
        let before = Some(watched.stack_start).filter(known);
        let now = self.proc.stat(watched.id.pid).ok();
        let now = now.map(|stat| stat.stack_start).filter(known);
        before.zip(now).is_some_and(|(before, now)| before != now)
    }

    fn tick(&mut self) {
        if let Ok(probes) = &mut self.probes
            && let Err(error) = probes.sweep()
        {
            tracing::warn!(%error, "slots of ended processes cannot be freed");
        }
        self.expire();
        self.cache.keep(|key| self.binaries.knows(key));
        self.review_budgets();
        self.record();
        self.want_scans();
    }

    /// Takes off probes that have lingered long enough.
    fn expire(&mut self) {
        for leaving in self.binaries.expired(Instant::now()) {
            self.detacher.detach(leaving);
        }
    }

    /// Were events lost since the last time this was asked? Then a scan tells what they would have.
    fn has_lost_events(&mut self) -> bool {
        let lost = match &self.probes {
            Ok(probes) => probes.losses().map_or(0, |losses| losses.events),
            Err(_) => 0,
        };
        let more = lost > self.events_lost;
        if more {
            tracing::warn!(lost = lost - self.events_lost, "process events were lost: scanning");
        }
        self.events_lost = lost;
        more
    }

    /// Takes everything out of the kernel.
    fn stop(self) {
        let own = self.watched.into_values().filter_map(|watched| watched.attachment);
        let own = own.map(|attachment| Leaving { attachment, lease: None });
        detach_all(own.chain(self.binaries.into_leaving()).collect());
        tracing::debug!("everything is detached");
    }
}
