//! Looks at what the kernel counted: from watched processes to a snapshot.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{engine::Engine, health::health, naming};
use crate::{
    discover::identity::Pid,
    model::{
        delay::DelayHistogram,
        process::{Counts, Process, Sched, Switches},
        snapshot::{Lost, Snapshot},
        watch::Watch,
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
        let told_of_ends = self.probes.as_ref().is_ok_and(|probes| probes.lifecycle().is_ok());
        if !told_of_ends {
            for pid in self.watched.keys().copied().collect::<Vec<_>>() {
                self.forget_if_gone(pid);
            }
        }
        let mut sites = self.probes.as_ref().map(|probes| probes.sites()).unwrap_or_default();
        let pids: Vec<Pid> = self.watched.keys().copied().collect();
        let processes = pids.into_iter().filter_map(|pid| self.process(pid, &mut sites)).collect();
        Snapshot {
            taken_at: now(),
            processes,
            top_sites: Some(self.settings.top_sites),
            agent: health(self.lost(), self.seconds_per_hit, self.started_at),
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
        let watched = self.watched.get(&pid)?;
        let probing = watched.probes == Watch::Ok;
        let probes = self.probes.as_ref().ok();
        let slot = watched.slot;
        let counted = slot.zip(probes).and_then(|(slot, probes)| probes.goroutines(slot).ok());
        let counted = counted.filter(|_| probing);
        let sched = slot
            .zip(probes.filter(|probes| probes.sched().is_ok()))
            .and_then(|(slot, probes)| probes.sched_counts(slot).ok());
        let known = watched.binary.and_then(|number| self.binaries.get(number));
        let attached = watched.attachment.as_ref().map(|_| Attachment::PROBES);
        let shared = known.as_ref().map(|known| known.attached());
        let named = slot
            .and_then(|slot| sites.remove(&slot))
            .zip(known)
            .zip(watched.bias)
            .map(|((sites, known), bias)| {
                let binary = std::sync::Arc::clone(&known.binary);
                naming::sites(sites, &binary, bias, &mut known.names)
            })
            .unwrap_or_default();
        Some(Process {
            id: watched.id,
            started_at: watched.started_at,
            exe: watched.exe.clone(),
            comm: watched.comm.clone(),
            binary: watched.facts.clone(),
            threads: self.proc.stat(pid).ok().map(|stat| stat.threads),
            goroutines: None,
            counts: counted
                .map(|counted| Counts { created: counted.created, exited: counted.exited }),
            sites: named,
            site_losses: counted.map_or(0, |counted| counted.site_losses + counted.unreadable),
            sched: sched.map(|sched| Sched {
                delay: DelayHistogram {
                    buckets: sched.delay_buckets,
                    sum_nanoseconds: sched.delay_sum,
                },
                switches: Switches { voluntary: sched.voluntary, preempted: sched.preempted },
            }),
            runtime: Watch::Off,
            probes: watched.probes.clone(),
            origin: watched.origin.clone(),
            probe_hits: counted.map_or(0, |counted| counted.created + counted.exited),
            probes_attached: if probing { attached.or(shared).unwrap_or(0) } else { 0 },
        })
    }
}
