//! The judge's verdicts, with names: for snapshots, and for the log.

use std::sync::Arc;

use super::{engine::Engine, naming};
use crate::{
    discover::identity::Pid,
    judge::process::Judged,
    model::leak::{Leak, Verdict},
};

impl Engine {
    /// The leaks of a process, by name.
    pub(super) fn leaks(&mut self, pid: Pid) -> Vec<Leak> {
        let judged = self.watched.get(&pid).map(|watched| watched.reading.judge.leaks());
        let judged = judged.unwrap_or_default().into_iter();
        judged.filter_map(|judged| self.named(pid, judged)).collect()
    }

    fn named(&mut self, pid: Pid, judged: Judged) -> Option<Leak> {
        let watched = self.watched.get(&pid)?;
        let known = watched.binary.and_then(|number| self.binaries.get(number))?;
        let binary = Arc::clone(&known.binary);
        let table = watched.reading.table.as_ref()?;
        Some(naming::leak(judged, table, &binary, watched.bias?, &mut known.names))
    }

    /// Says in the log what has changed since the last look.
    pub(super) fn tell_leaks(&mut self, pid: Pid) {
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        let leaks = watched.reading.judge.leaks();
        let told = std::mem::take(&mut watched.reading.told);
        watched.reading.told = leaks.iter().map(|leak| (leak.site, leak.verdict)).collect();
        let over = told.iter().filter(|(site, verdict)| {
            **verdict == Verdict::Confirmed && !leaks.iter().any(|leak| leak.site == **site)
        });
        if over.count() > 0 {
            tracing::info!(pid = pid.0, exe = watched.exe, "a leak is over");
        }
        for judged in leaks {
            if told.get(&judged.site) == Some(&judged.verdict) {
                continue;
            }
            let Some(leak) = self.named(pid, judged) else { continue };
            tell(pid, &leak);
        }
    }
}

fn tell(pid: Pid, leak: &Leak) {
    let Leak { site, wait_reason, goroutines, stack_bytes, .. } = leak;
    let location = site.location();
    let per_minute = leak.per_minute.round();
    let evidence = leak.evidence.iter().map(|evidence| evidence.words.as_str());
    let evidence = evidence.collect::<Vec<_>>().join("; ");
    let (created_by, wait_reason) = (&*site.created_by, &**wait_reason);
    match leak.verdict {
        Verdict::Confirmed => tracing::warn!(
            pid = pid.0,
            created_by,
            location,
            start = site.start,
            wait_reason,
            goroutines,
            per_minute,
            stack_bytes,
            evidence,
            "goroutines leak"
        ),
        Verdict::Suspected => tracing::info!(
            pid = pid.0,
            created_by,
            location,
            start = site.start,
            wait_reason,
            goroutines,
            per_minute,
            stack_bytes,
            evidence,
            "goroutines may leak"
        ),
    }
}
