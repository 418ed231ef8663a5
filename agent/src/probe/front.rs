//! All of the kernel's side, for the stages that follow.

use std::{collections::HashMap, path::Path};

use aya::Ebpf;
use goroscope_ebpf_probes::{
    event::NO_SLOT,
    goroutine::GoroutineCounts,
    process::{FLAG_IGNORED, Losses},
    sched::SchedCounts,
};

use super::{
    Attachment, Limits, ProbeError, Scope, Slot, Target,
    attach::{self, Programs},
    events::{Event, Events},
    gdestroy,
    load::{self, Loaded},
    losses::LossTable,
    newproc,
    processes::ProcessTable,
    sched_process,
    sched_switch::{self, SchedTables},
    sched_wakeup,
    sites::{SiteTable, Sites},
    slots::FreeSlots,
    tasks::Tasks,
};

/// The kernel programs, loaded. Dropping it takes every program and table out of the kernel.
pub struct Probes {
    ebpf: Ebpf,
    uprobes: Result<Programs, String>,
    sched: Result<(), String>,
    lifecycle: Result<(), String>,
    processes: ProcessTable,
    sites: SiteTable,
    threads: SchedTables,
    slots: FreeSlots,
    losses: LossTable,
    events: Option<Events>,
    tasks: Tasks,
    /// Threads for which there was no room when their process was taken on.
    unfollowed: u64,
    /// Slots of processes that are gone: those of this round, and of the round before.
    leaving: [Vec<Slot>; 2],
}

impl Probes {
    /// Loads the programs and attaches those of the scheduler.
    ///
    /// What the kernel refuses is kept as a reason ([`Probes::uprobes`], [`Probes::sched`],
    /// [`Probes::lifecycle`]) and does not keep the rest from working. `diagnostics` has the
    /// programs log through aya-log.
    ///
    /// # Errors
    ///
    /// Where not even the maps can be made.
    pub fn load(limits: Limits, diagnostics: bool) -> Result<Self, ProbeError> {
        // One more, for the agent itself while it measures what a hit costs.
        let limits = Limits { processes: limits.processes.saturating_add(1), ..limits };
        let Loaded { mut ebpf, btf, followed_words, translated } = load::load(limits, diagnostics)?;
        let uprobes = load::first_uprobe(&mut ebpf, &newproc::PROGRAMS)
            .and_then(|birth| {
                let death = load::first_uprobe(&mut ebpf, &gdestroy::PROGRAMS)?;
                Ok(Programs { birth, death })
            })
            .map_err(|error| error.to_string());
        let processes = ProcessTable::new(&mut ebpf)?;
        let sites = SiteTable::new(&mut ebpf)?;
        let threads = SchedTables::new(&mut ebpf, followed_words)?;
        let slots = FreeSlots::new(&mut ebpf, limits.processes)?;
        let losses = LossTable::new(&mut ebpf)?;
        let events = Some(Events::new(&mut ebpf)?);
        let tasks = match &btf {
            Ok(btf) => Tasks::new(&mut ebpf, btf, translated)?,
            Err(_) if !translated => Tasks::Same,
            // Ids of one namespace would be taken for those of the other.
            Err(reason) => {
                return Err(ProbeError::Program { program: "tasks", reason: reason.clone() });
            }
        };
        let (lifecycle, sched) = match &btf {
            Ok(btf) => {
                let lifecycle = sched_process::attach(&mut ebpf, btf);
                let sched = sched_wakeup::attach(&mut ebpf, btf)
                    .and_then(|()| sched_switch::attach(&mut ebpf, btf));
                (lifecycle.map_err(|e| e.to_string()), sched.map_err(|e| e.to_string()))
            }
            Err(reason) => (Err(reason.clone()), Err(reason.clone())),
        };
        Ok(Self {
            ebpf,
            uprobes,
            sched,
            lifecycle,
            processes,
            sites,
            threads,
            slots,
            losses,
            events,
            tasks,
            unfollowed: 0,
            leaving: [Vec::new(), Vec::new()],
        })
    }

    /// Can uprobes be attached? Else why not.
    pub fn uprobes(&self) -> Result<(), &str> {
        self.uprobes.as_ref().map(|_| ()).map_err(String::as_str)
    }

    /// Is the scheduler traced? Else why not.
    pub fn sched(&self) -> Result<(), &str> {
        self.sched.as_ref().map(|_| ()).map_err(String::as_str)
    }

    /// Do starts and ends of processes raise events? Else why not.
    pub fn lifecycle(&self) -> Result<(), &str> {
        self.lifecycle.as_ref().map(|_| ()).map_err(String::as_str)
    }

    /// The object, for the logger of aya-log.
    pub fn object(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// The ring of events; once.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// Attaches the uprobes of a binary; `path` leads to the file, `/proc/PID/exe` does.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses, or uprobes do not work at all.
    pub fn attach(
        &mut self,
        path: &Path,
        target: &Target,
        scope: Scope,
    ) -> Result<Attachment, ProbeError> {
        let programs = self.programs()?;
        attach::attach(&mut self.ebpf, programs, path, target, scope)
    }

    /// Attaches the uprobe of births only: for [`super::calibrate`].
    pub(super) fn attach_birth(
        &mut self,
        path: &Path,
        target: &Target,
        scope: Scope,
    ) -> Result<Attachment, ProbeError> {
        let programs = self.programs()?;
        attach::attach_birth(&mut self.ebpf, programs, path, target, scope)
    }

    fn programs(&self) -> Result<Programs, ProbeError> {
        self.uprobes.clone().map_err(|reason| ProbeError::Program { program: "uprobe", reason })
    }

    /// Takes a process on: counts its goroutines by the probes of `binary` (0 for none) and
    /// follows the threads that `threads` names.
    ///
    /// Where the kernel's side has seen it already, its slot and counts stay. The threads are
    /// asked for after the process has been taken on: those that start later are seen by the
    /// kernel's side.
    ///
    /// # Errors
    ///
    /// Where there is no room, or a table cannot be written.
    pub fn adopt(
        &mut self,
        pid: u32,
        binary: u32,
        threads: impl Fn() -> Vec<u32>,
    ) -> Result<Slot, ProbeError> {
        self.tasks.refresh(&mut self.ebpf)?;
        let tgid = self.tasks.kernel_id(pid).ok_or(ProbeError::Unseen(pid))?;
        let slot = self.enter(pid, tgid, binary)?;
        if self.sched.is_ok() {
            let ids = |tasks: &Tasks| -> Vec<u32> {
                threads().into_iter().filter_map(|tid| tasks.kernel_id(tid)).collect()
            };
            self.tasks.refresh(&mut self.ebpf)?;
            let before = ids(&self.tasks);
            for &tid in &before {
                if !self.threads.follow(tid, slot)? {
                    self.unfollowed += 1;
                }
            }
            // A thread that ended in between would stay in the table for ever.
            let after = ids(&self.tasks);
            for &tid in before.iter().filter(|tid| !after.contains(tid)) {
                self.threads.forget(tid);
            }
        }
        Ok(slot)
    }

    /// Enters a process into the table, in the slot that the kernel's side gave it meanwhile, or in
    /// one of its own.
    fn enter(&mut self, pid: u32, tgid: u32, binary: u32) -> Result<Slot, ProbeError> {
        // At most once the kernel's side makes an entry after a look, and at most once removes it.
        for _ in 0..3 {
            match self.processes.get(tgid)? {
                Some(known) if known.flags & FLAG_IGNORED == 0 && known.slot != NO_SLOT => {
                    let binary = if known.binary == 0 { binary } else { known.binary };
                    let slot = Slot(known.slot);
                    if self.processes.adopt(tgid, slot, binary, true)? {
                        return Ok(slot);
                    }
                }
                Some(_) => self.processes.remove(tgid),
                None => {
                    let slot = self.slots.take()?;
                    if self.processes.adopt(tgid, slot, binary, false)? {
                        return Ok(slot);
                    }
                    self.slots.give(slot);
                }
            }
        }
        Err(ProbeError::Unseen(pid))
    }

    /// Removes the sites of a slot that is not given back: for [`super::calibrate`].
    pub(super) fn remove_sites(&mut self, slot: Slot) {
        let sites = self.sites.all().remove(&slot).unwrap_or_default();
        self.sites.remove(&sites);
    }

    /// Is there room for another process?
    pub fn has_room(&mut self) -> bool {
        match self.slots.take() {
            Ok(slot) => {
                self.slots.give(slot);
                true
            }
            Err(_) => false,
        }
    }

    /// The process that an event is about, as the agent sees it; `None` where it does not.
    pub fn visible(&mut self, event: &Event) -> Option<u32> {
        if event.visible_tgid != 0 {
            return Some(event.visible_tgid);
        }
        if self.tasks.visible_id(event.tgid).is_none()
            && let Err(error) = self.tasks.refresh(&mut self.ebpf)
        {
            tracing::warn!(%error, "ids of threads cannot be translated");
        }
        self.tasks.visible_id(event.tgid)
    }

    /// Has the kernel's side count nothing for a process (by the kernel's own id), and frees its
    /// slot if it has one.
    ///
    /// # Errors
    ///
    /// Where a table cannot be written.
    pub fn ignore(&mut self, tgid: u32) -> Result<(), ProbeError> {
        let Some(known) = self.processes.get(tgid)? else {
            return Ok(());
        };
        if known.flags & FLAG_IGNORED == 0 && self.processes.ignore(tgid)? && known.slot != NO_SLOT
        {
            self.release(Slot(known.slot));
        }
        Ok(())
    }

    /// Takes back that a process is not to be counted.
    pub fn unignore(&mut self, pid: u32) {
        let Some(tgid) = self.tasks.kernel_id(pid) else { return };
        let known = self.processes.get(tgid).ok().flatten();
        if known.is_some_and(|known| known.flags & FLAG_IGNORED != 0) {
            self.processes.remove(tgid);
        }
    }

    /// Forgets a process that the agent no longer wants, or whose end was not seen.
    pub fn forget(&mut self, pid: u32) {
        if let Some(tgid) = self.tasks.kernel_id(pid) {
            self.processes.remove(tgid);
        }
    }

    /// Gives up the slot of a process that is gone from the table of processes; a later
    /// [`Probes::sweep`] frees it. An end may be told twice, by an event and by a scan; the second
    /// time is without effect.
    pub fn release(&mut self, slot: Slot) {
        if !self.leaving.iter().any(|round| round.contains(&slot)) {
            self.leaving[0].push(slot);
        }
    }

    /// Frees the slots that were released before the last sweep.
    ///
    /// Not at once: a thread's last switch comes after the end of its process was announced. And
    /// not one by one: the sites of a slot are found by a walk through the whole table.
    ///
    /// # Errors
    ///
    /// Where a table cannot be written; then the slots stay out of use.
    pub fn sweep(&mut self) -> Result<(), ProbeError> {
        let [now, before] = &mut self.leaving;
        let due = std::mem::replace(before, std::mem::take(now));
        if due.is_empty() {
            return Ok(());
        }
        self.threads.forget_all_of(&due.iter().copied().collect());
        let mut sites = self.sites.all();
        for slot in due {
            self.sites.remove(&sites.remove(&slot).unwrap_or_default());
            self.processes.clear(slot)?;
            self.threads.clear(slot)?;
            self.slots.give(slot);
        }
        Ok(())
    }

    /// Births and deaths in a slot.
    ///
    /// # Errors
    ///
    /// Where the table cannot be read.
    pub fn goroutines(&self, slot: Slot) -> Result<GoroutineCounts, ProbeError> {
        self.processes.counts(slot)
    }

    /// Has the kernel's side tell ([`super::events::What::Spent`], once) when the process in a slot
    /// comes to so many births and deaths; 0 for never.
    ///
    /// # Errors
    ///
    /// Where the table cannot be written.
    pub fn allow(&mut self, slot: Slot, hits: u64) -> Result<(), ProbeError> {
        self.processes.allow(slot, hits)
    }

    /// Has the hits of another binary's probes count for a process from now on: of those before no
    /// more, 0 for none. Says whether the process was still known.
    ///
    /// # Errors
    ///
    /// Where the table cannot be written.
    pub fn count_by(&mut self, pid: u32, slot: Slot, binary: u32) -> Result<bool, ProbeError> {
        let tgid = self.tasks.kernel_id(pid).ok_or(ProbeError::Unseen(pid))?;
        self.processes.adopt(tgid, slot, binary, true)
    }

    /// What the scheduler did with the threads of a slot.
    ///
    /// # Errors
    ///
    /// Where the table cannot be read.
    pub fn sched_counts(&self, slot: Slot) -> Result<SchedCounts, ProbeError> {
        self.threads.counts(slot)
    }

    /// The creation sites of all slots.
    #[must_use]
    pub fn sites(&self) -> HashMap<Slot, Sites> {
        self.sites.all()
    }

    /// Processes that the kernel's side knows, by its own ids.
    #[must_use]
    pub fn tgids(&self) -> Vec<u32> {
        self.processes.tgids()
    }

    /// Forgets those of these processes that do not live: the traces of races and of lost events.
    /// `tgids` must be older than what `lives` knows, or processes that have just begun are lost.
    ///
    /// # Errors
    ///
    /// Where a table cannot be read.
    pub fn forget_dead(
        &mut self,
        tgids: Vec<u32>,
        lives: impl Fn(u32) -> bool,
    ) -> Result<(), ProbeError> {
        self.tasks.refresh(&mut self.ebpf)?;
        for tgid in tgids {
            if self.tasks.visible_id(tgid).is_some_and(&lives) {
                continue;
            }
            let slot = self.processes.get(tgid)?.map(|known| known.slot);
            self.processes.remove(tgid);
            if let Some(slot) = slot.filter(|&slot| slot != NO_SLOT) {
                self.release(Slot(slot));
            }
        }
        Ok(())
    }

    /// Losses of the kernel's side, and threads for which the agent's side found no room.
    ///
    /// # Errors
    ///
    /// Where the table cannot be read.
    pub fn losses(&self) -> Result<Losses, ProbeError> {
        let losses = self.losses.read()?;
        Ok(Losses { threads: losses.threads + self.unfollowed, ..losses })
    }
}
