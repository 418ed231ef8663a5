//! Looks at what the kernel counted and what the runtimes say: from watched processes to a
//! snapshot.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    budget::gap_seconds,
    engine::Engine,
    health::health,
    naming::{self, Seen},
    spending::Spending,
};
use crate::{
    discover::identity::Pid,
    model::{
        delay::DelayHistogram,
        probed::{Births, Probed},
        process::{Process, Sched, Switches},
        snapshot::{Lost, Snapshot},
        watch::{Watch, Watches},
    },
    probe::{Attachment, Slot, sites::Sites},
};

/// Seconds since the Unix epoch.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Engine {
    /// All that is known now.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.drain_events();
        if !self.told_of_lifecycle() {
            for pid in self.watched.keys().copied().collect::<Vec<_>>() {
                self.forget_if_gone(pid);
            }
        }
        self.open_runtimes();
        self.scan_quickly();
        let mut sites = self.probes.as_ref().map(|probes| probes.sites()).unwrap_or_default();
        let pids: Vec<Pid> = self.watched.keys().copied().collect();
        let processes = pids.into_iter().filter_map(|pid| self.process(pid, &mut sites)).collect();
        Snapshot {
            taken_at: now(),
            processes,
            top_sites: Some(self.settings.top_sites),
            alerting: None,
            exporting: None,
            configuration: None,
            serving: None,
            agent: health(
                self.lost(),
                self.owners.failures(),
                self.seconds_per_hit,
                self.started_at,
            ),
        }
    }

    fn lost(&self) -> Lost {
        let losses = self.probes.as_ref().ok().and_then(|probes| probes.losses().ok());
        losses.map_or_else(Lost::default, |losses| Lost {
            events: losses.events,
            processes: losses.processes,
            sites: losses.sites,
            threads: losses.threads,
        })
    }

    fn process(&mut self, pid: Pid, sites: &mut HashMap<Slot, Sites>) -> Option<Process> {
        let counts = self.reconcile(pid);
        let leaks = self.leaks(pid);
        let watched = self.watched.get_mut(&pid)?;
        let runtime = counts.and_then(|counts| watched.reading.read(counts));
        // Asked behind the reading: memory that was read is that of this process if it lives.
        let stat = self.proc.stat(pid).ok();
        let runtime =
            runtime.filter(|_| stat.as_ref().is_some_and(|s| s.start == watched.id.start));
        let probes = self.probes.as_ref().ok();
        let slot = watched.slot;
        let counted = slot.zip(probes).and_then(|(slot, probes)| probes.goroutines(slot).ok());
        let probing = watched.probes == Watch::Ok;
        let spending = watched.spending.as_ref();
        let counted = counted.filter(|_| spending.is_some());
        let sched = slot
            .zip(probes.filter(|probes| probes.sched().is_ok()))
            .and_then(|(slot, probes)| probes.sched_counts(slot).ok());
        let known = watched.binary.and_then(|number| self.binaries.get(number));
        let attached = watched.attachment.as_ref().map(|_| Attachment::PROBES);
        let shared = known.as_ref().map(|known| known.attached());
        let named = known.zip(watched.bias).map(|(known, bias)| {
            let counted = slot.and_then(|slot| sites.remove(&slot)).unwrap_or_default();
            let binary = Arc::clone(&known.binary);
            let growth = watched.reading.judge.growth();
            let seen = Seen { table: watched.reading.table.as_ref(), counted, growth };
            naming::sites(seen, &binary, bias, &mut known.names)
        });
        Some(Process {
            id: watched.id,
            started_at: watched.started_at,
            watched_at: watched.watched_at,
            exe: watched.exe.clone(),
            comm: watched.comm.clone(),
            binary: watched.facts.clone(),
            threads: stat.map(|stat| stat.threads),
            runtime,
            probed: counted.map(|counted| Probed {
                births: Births { created: counted.created, exited: counted.exited },
                site_losses: counted.site_losses + counted.unreadable,
                attached: if probing { attached.or(shared).unwrap_or(0) } else { 0 },
                gaps: spending.map_or(0, Spending::gaps),
                gap_seconds: gap_seconds(spending, Instant::now()),
                drift: watched.drift.drift(),
            }),
            sites: named.unwrap_or_default(),
            leaks,
            sched: sched.map(|sched| Sched {
                delay: DelayHistogram {
                    buckets: sched.delay_buckets,
                    sum_nanoseconds: sched.delay_sum,
                },
                switches: Switches { voluntary: sched.voluntary, preempted: sched.preempted },
            }),
            watch: Watches { runtime: watched.reading.watch(), probes: watched.probes.clone() },
            origin: watched.origin.clone(),
        })
    }
}
