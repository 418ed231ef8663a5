//! Keeps the last minutes of the watched processes, for charts that are opened later.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{engine::Engine, observe::now};
use crate::{
    discover::identity::{Pid, ProcessId},
    model::{
        delay::DelayHistogram,
        series::{EVERY, Point, Sample, Series},
    },
};

/// Processes whose last minutes are kept; where there are more, those that came first. Each takes
/// about 20 KB.
const MOST: usize = 512;
/// Ticks come a little late at times.
const SLACK: Duration = Duration::from_millis(500);

/// The last minutes of the watched processes.
#[derive(Debug, Default)]
pub(super) struct Records {
    kept: BTreeMap<ProcessId, Arc<Series>>,
    last: Option<Instant>,
}

impl Engine {
    /// A tick is over: takes a point of each process where it is time.
    pub(super) fn record(&mut self) {
        let begun = Instant::now();
        let is_early = |last: Instant| begun.saturating_duration_since(last) + SLACK < EVERY;
        if self.records.last.is_some_and(is_early) {
            return;
        }
        self.records.last = Some(begun);
        let mut kept = std::mem::take(&mut self.records.kept);
        kept.retain(|id, _| self.watched.get(&id.pid).is_some_and(|watched| watched.id == *id));
        let ids: Vec<ProcessId> = self.watched.values().map(|watched| watched.id).collect();
        for id in ids {
            if kept.len() >= MOST && !kept.contains_key(&id) {
                continue;
            }
            let series = kept.entry(id).or_default();
            self.record_one(id.pid, Arc::make_mut(series));
        }
        self.records.kept = kept;
    }

    fn record_one(&mut self, pid: Pid, series: &mut Series) {
        let Some(watched) = self.watched.get_mut(&pid) else { return };
        let counts = watched.reading.counts(pid);
        let go = watched.reading.reader().and_then(|reader| reader.sched_latency().ok());
        let threads = watched
            .slot
            .zip(self.probes.as_ref().ok().filter(|probes| probes.sched().is_ok()))
            .and_then(|(slot, probes)| probes.sched_counts(slot).ok());
        let threads = threads.map(|counts| DelayHistogram {
            buckets: counts.delay_buckets,
            sum_nanoseconds: counts.delay_sum,
        });
        let point = Point {
            at: now(),
            goroutines: counts.map(|counts| counts.live),
            created: counts.map(|counts| counts.created),
            exited: counts.map(|counts| counts.exited),
            threads: counts.map(|counts| counts.threads),
            ..Point::default()
        };
        series.take(Sample { point, go: go.as_ref(), threads: threads.as_ref() });
    }

    /// The last minutes of a process; `None` where it is not watched, or there are too many.
    pub(super) fn recorded(&self, pid: Pid) -> Option<Arc<Series>> {
        let id = self.watched.get(&pid)?.id;
        self.records.kept.get(&id).cloned()
    }
}
