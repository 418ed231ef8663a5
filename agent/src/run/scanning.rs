//! Looks at all goroutines: how often, so that it costs no more than its share of a core.
//!
//! CPU time for looks grows by the share, second by second, up to a limit; a look is begun while
//! there is some, and what it took is deducted, below zero if need be. So the share is kept
//! whatever a look costs. Of several processes the one comes first whose last look is oldest,
//! measured by the fourth root of what it cost: processes with few goroutines are looked at more
//! often than one with a million, and that one still in reasonable time.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use super::{allowance::Allowance, engine::Engine, observe::now, reading::Table, watched::Watched};
use crate::{
    discover::identity::{Pid, ProcessId},
    judge::look::Look,
    model::runtime::GoroutineTable,
    read::{Groups, PartialScan, ReadError, ScanBuffer, WaitReasons},
};

/// Looks at a process are at least so far apart when nobody asks.
const REGULAR: Duration = Duration::from_secs(5);
/// When somebody asks, a look that is younger will do.
const FRESH: Duration = Duration::from_secs(1);
/// CPU seconds that a look may take, and all looks together, that somebody waits for.
const QUICK: f64 = 0.005;
const QUICK_TOGETHER: Duration = Duration::from_millis(20);
/// CPU time that was not used for so long is forfeited.
const SAVED: Duration = Duration::from_secs(10);

/// The looks: the one under way, and the time that there is for them.
pub(super) struct Scanning {
    allowance: Allowance,
    buffer: ScanBuffer,
    groups: Groups,
    current: Option<Current>,
    /// Processes that are due, the most urgent last.
    due: Vec<ProcessId>,
}

/// A look that is under way.
struct Current {
    id: ProcessId,
    scan: PartialScan,
    taken_at: f64,
    at: Instant,
    /// On the clock on which the Go runtime notes waits.
    monotonic: Duration,
    cpu: Duration,
    /// The judge's, where it is time for one.
    look: Option<Look>,
}

impl Scanning {
    /// Looks that take `share` of a core; 0 for none.
    pub(super) fn new(share: f64) -> Self {
        Self {
            allowance: Allowance::new(share, SAVED, Instant::now()),
            buffer: ScanBuffer::default(),
            groups: Groups::default(),
            current: None,
            due: Vec::new(),
        }
    }

    /// They take another share from now on.
    pub(super) fn reshare(&mut self, share: f64) {
        self.allowance.reshare(share, Instant::now());
    }

    /// Is a look under way, or to be begun?
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some() || !self.due.is_empty()
    }
}

/// How urgent a look is: `age` and `cost` (of the last one) in seconds.
fn urgency(age: f64, cost: f64) -> f64 {
    // Looks below this cost are alike.
    const LEAST: f64 = 1e-4;
    age / cost.max(LEAST).sqrt().sqrt()
}

/// CPU time that this thread has used.
fn cpu_time() -> Duration {
    read_clock(ClockId::ThreadCPUTime)
}

fn read_clock(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

impl Engine {
    /// A tick is over: some process may be due.
    pub(super) fn want_scans(&mut self) {
        self.scanning.due = self.due(REGULAR, f64::INFINITY);
    }

    /// Does the next bit of work, about 10 ms of it.
    pub(super) fn go_on_scanning(&mut self) {
        if self.scanning.current.is_none()
            && let Some(id) = self.scanning.due.pop()
        {
            if self.scanning.allowance.has_any(Instant::now()) {
                self.begin_scan(id);
            } else {
                self.scanning.due.clear();
            }
        }
        self.step();
    }

    /// Has fresh looks at the processes where that is quickly done: somebody waits for it.
    pub(super) fn scan_quickly(&mut self) {
        // The one under way is a long one, or has been waited for.
        if self.scanning.current.is_some() {
            return;
        }
        let began = cpu_time();
        let mut due = self.due(FRESH, QUICK);
        while cpu_time() - began < QUICK_TOGETHER
            && self.scanning.allowance.has_any(Instant::now())
            && let Some(id) = due.pop()
        {
            self.begin_scan(id);
            self.step();
            // It was larger than the last time: the rest of it comes later.
            if self.scanning.current.is_some() {
                break;
            }
        }
    }

    /// The processes whose last look is that old and cost no more than that, the most urgent last.
    fn due(&self, least_age: Duration, most_cost: f64) -> Vec<ProcessId> {
        let now = Instant::now();
        let due = |watched: &Watched| {
            if !watched.reading.is_open() {
                return None;
            }
            let Some(table) = &watched.reading.table else {
                return Some((f64::INFINITY, watched.id));
            };
            let age = now.saturating_duration_since(table.at);
            let cost = table.summary.cpu_seconds;
            (age >= least_age && cost <= most_cost)
                .then(|| (urgency(age.as_secs_f64(), cost), watched.id))
        };
        let mut due: Vec<(f64, ProcessId)> = self.watched.values().filter_map(due).collect();
        due.sort_by(|a, b| a.0.total_cmp(&b.0));
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn begin_scan(&mut self, id: ProcessId) {
        let Some(watched) = self.watched.get_mut(&id.pid) else { return };
        let begun = watched.reading.reader().map(|reader| reader.begin_scan());
        let Some(begun) = begun else { return };
        match begun {
            Ok(scan) => {
                let monotonic = read_clock(ClockId::Monotonic);
                self.scanning.groups.clear();
                self.scanning.current = Some(Current {
                    id,
                    scan,
                    taken_at: now(),
                    at: Instant::now(),
                    monotonic,
                    cpu: Duration::ZERO,
                    look: watched.reading.judge.look(monotonic),
                });
            }
            Err(error) => self.scan_failed(id.pid, error),
        }
    }

    fn step(&mut self) {
        let Some(mut current) = self.scanning.current.take() else { return };
        let pid = current.id.pid;
        let watched = self.watched.get_mut(&pid).filter(|watched| watched.id == current.id);
        // It ended meanwhile, or runs another program.
        let Some(watched) = watched else { return };
        let Some(reader) = watched.reading.reader() else { return };
        let Scanning { buffer, groups, allowance, .. } = &mut self.scanning;
        let began = cpu_time();
        let look = &mut current.look;
        let step = reader.go_on(&mut current.scan, buffer, &mut |goroutine| {
            if let (Some(group), Some(look)) = (groups.place(goroutine), look.as_mut()) {
                look.add(group, goroutine);
            }
        });
        let took = cpu_time() - began;
        current.cpu += took;
        allowance.use_up(took.as_secs_f64());
        match step {
            Ok(None) => self.scanning.current = Some(current),
            Ok(Some(report)) => {
                let reasons = reader.wait_reasons().ok().cloned();
                let table = table(&current, groups, reasons.as_ref());
                if let Some(look) = current.look.take() {
                    let word = |reason| reasons.as_ref()?.name(reason);
                    watched.reading.judge.take(look, groups.groups(), word);
                }
                let scans = &mut watched.reading.scans;
                scans.done += 1;
                scans.torn += report.torn;
                scans.unreadable += report.unreadable;
                watched.reading.table = Some(table);
                self.tell_leaks(pid);
            }
            Err(error) => self.scan_failed(pid, error),
        }
    }

    fn scan_failed(&mut self, pid: Pid, error: ReadError) {
        if let Some(watched) = self.watched.get_mut(&pid) {
            watched.reading.scans.failed += 1;
            watched.reading.close(pid, error);
        }
    }
}

fn table(current: &Current, groups: &Groups, reasons: Option<&WaitReasons>) -> Table {
    let word = |reason| reasons.and_then(|reasons| reasons.name(reason)).map(Arc::from);
    let waiting = groups.groups().iter().map(|(key, _)| key.wait_reason);
    let words: HashMap<u8, Arc<str>> =
        waiting.filter_map(|reason| Some((reason, word(reason)?))).collect();
    // Two numbers may have one name: reasons that the runtime's dump does not tell apart.
    let mut by_reason = std::collections::BTreeMap::<Arc<str>, u64>::new();
    for (reason, count) in groups.by_reason() {
        if let Some(word) = words.get(&reason).cloned().or_else(|| word(reason)) {
            *by_reason.entry(word).or_default() += count;
        }
    }
    Table {
        summary: Arc::new(GoroutineTable {
            taken_at: current.taken_at,
            cpu_seconds: current.cpu.as_secs_f64(),
            by_state: groups.by_state().collect(),
            by_reason: by_reason.into_iter().collect(),
            user: groups.user(),
            system: groups.system(),
        }),
        groups: groups.groups().to_vec(),
        ungrouped: groups.ungrouped(),
        words,
        at: current.at,
        monotonic: u64::try_from(current.monotonic.as_nanos()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_tables_wait_longer_but_not_for_ever() {
        assert!(urgency(10.0, 0.0003) > urgency(10.0, 0.3));
        assert!(urgency(10.0, 0.0003) < urgency(60.0, 0.3));
        assert!(urgency(1.0, 0.0) < urgency(2.0, 0.0));
    }
}
