//! A snapshot with what only several of them together tell: rates, growth, what was lately.

use std::{collections::HashMap, sync::Arc};

use super::{
    delay::Spread,
    history::History,
    rates::{Counted, Pace, WINDOW, looked_at},
};
use crate::{
    discover::identity::ProcessId,
    model::{
        leak::{Leak, Verdict},
        process::Process,
        site::{Site, SiteName},
        snapshot::Snapshot,
    },
};

/// Sites of a process, and of all together, that are followed from snapshot to snapshot.
const FOLLOWED_OF_PROCESS: usize = 128;
const FOLLOWED: usize = 8192;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// How long before this one the snapshot before was taken; `None` at the first.
    pub seconds: Option<f64>,
    /// For each process of the snapshot, in the same order.
    pub figures: Vec<Figures>,
}

/// Of a process, what more than one snapshot is needed for.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Births, deaths, growth.
    pub pace: Pace,
    /// How long its goroutines waited to run, in this interval.
    pub goroutine_delay: Option<Spread>,
    /// How long its threads waited for a CPU, in this interval.
    pub thread_delay: Option<Spread>,
    /// How all that was lately.
    pub lately: Lately,
    /// For each of its sites, in the same order.
    pub sites: Vec<SiteFigures>,
}

/// How the figures of a process were lately, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Lately {
    /// Goroutines.
    pub live: Vec<f64>,
    /// Births a second.
    pub born: Vec<f64>,
    /// Deaths a second.
    pub died: Vec<f64>,
    /// Of a hundred delays of goroutines the second longest.
    pub goroutine_delay: Vec<f64>,
    /// Likewise of threads.
    pub thread_delay: Vec<f64>,
}

/// Of a creation site, what more than one snapshot is needed for.
#[derive(Clone, Debug, Default)]
pub struct SiteFigures {
    /// Births, deaths, growth.
    pub pace: Pace,
    /// Its goroutines lately, the oldest first.
    pub live: Vec<f64>,
}

impl Picture {
    /// The processes with their figures.
    pub fn processes(&self) -> impl Iterator<Item = (&Process, &Figures)> {
        self.snapshot.processes.iter().zip(&self.figures)
    }

    /// One of them.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> Option<(&Process, &Figures)> {
        self.processes().find(|(process, _)| process.id == id)
    }
}

/// The verdict on a process: the worst on any of its sites.
#[must_use]
pub fn verdict(process: &Process) -> Option<Verdict> {
    process.leaks.iter().map(|leak| leak.verdict).max()
}

/// What the judge says of a site.
#[must_use]
pub fn leak_of<'a>(process: &'a Process, site: &Site) -> Option<&'a Leak> {
    let name = site.name.as_ref()?;
    process.leaks.iter().find(|leak| leak.site == *name)
}

/// Makes pictures out of snapshots; remembers a bounded part of them.
#[derive(Debug, Default)]
pub struct Tracker {
    before: Option<Arc<Snapshot>>,
    processes: HashMap<ProcessId, Track>,
}

#[derive(Debug, Default)]
struct Track {
    live: History,
    born: History,
    died: History,
    goroutine_delay: History,
    thread_delay: History,
    sites: HashMap<SiteName, SiteTrack>,
}

#[derive(Debug, Default)]
struct SiteTrack {
    live: History,
}

impl Tracker {
    /// Takes the next snapshot.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) -> Picture {
        let before = self.before.replace(Arc::clone(&snapshot));
        let seconds = before.as_ref().map(|before| snapshot.taken_at - before.taken_at);
        let before = before.unwrap_or_default();
        let mut left = FOLLOWED;
        let mut known = std::mem::take(&mut self.processes);
        let mut figures = Vec::with_capacity(snapshot.processes.len());
        for process in &snapshot.processes {
            let mut track = known.remove(&process.id).unwrap_or_default();
            // Both are in the order of their ids.
            let earlier = before
                .processes
                .binary_search_by_key(&process.id.pid, |earlier| earlier.id.pid)
                .ok()
                .and_then(|index| before.processes.get(index))
                .filter(|earlier| earlier.id == process.id);
            let since = Since { snapshot: &snapshot, earlier, seconds: seconds.unwrap_or(0.0) };
            figures.push(track.take(process, since, &mut left));
            self.processes.insert(process.id, track);
        }
        Picture { snapshot, seconds, figures }
    }
}

/// An interval, from the side of a process.
#[derive(Clone, Copy)]
struct Since<'a> {
    snapshot: &'a Snapshot,
    /// The process at its beginning.
    earlier: Option<&'a Process>,
    seconds: f64,
}

impl Track {
    fn take(&mut self, process: &Process, since: Since<'_>, left: &mut usize) -> Figures {
        let at = since.snapshot.taken_at;
        if let Some(live) = process.goroutines() {
            self.live.push(at, live as f64);
        }
        let counted = since.earlier.and_then(|earlier| {
            Counted::of_process(process)?.since(Counted::of_process(earlier)?, since.seconds)
        });
        if let Some((born, died)) = counted {
            self.born.push(at, born);
            self.died.push(at, died);
        }
        let (goroutine_delay, thread_delay) =
            since.earlier.map_or((None, None), |earlier| delays(earlier, process));
        if since.earlier.is_some() {
            let p99 = |spread: Option<Spread>| spread.map_or(0.0, |spread| spread.p99_seconds);
            self.goroutine_delay.push(at, p99(goroutine_delay));
            self.thread_delay.push(at, p99(thread_delay));
        }
        Figures {
            pace: Pace {
                born: counted.map(|(born, _)| born),
                died: counted.map(|(_, died)| died),
                growth: process.goroutines().and_then(|_| self.live.growth(WINDOW)),
            },
            goroutine_delay,
            thread_delay,
            lately: Lately {
                live: self.live.values(),
                born: self.born.values(),
                died: self.died.values(),
                goroutine_delay: self.goroutine_delay.values(),
                thread_delay: self.thread_delay.values(),
            },
            sites: self.sites(process, since, left),
        }
    }

    /// Follows the largest sites; those that are not there any more are forgotten.
    fn sites(&mut self, process: &Process, since: Since<'_>, left: &mut usize) -> Vec<SiteFigures> {
        let at = looked_at(since.snapshot, process);
        let earlier: HashMap<&SiteName, &Site> = since
            .earlier
            .into_iter()
            .flat_map(|earlier| &earlier.sites)
            .filter_map(|site| Some((site.name.as_ref()?, site)))
            .collect();
        let mut known = std::mem::take(&mut self.sites);
        let mut followed = 0;
        let figures = process.sites.iter().map(|site| {
            let Some(name) = &site.name else { return SiteFigures::default() };
            let counted = earlier.get(name).zip(since.earlier).and_then(|(before, earlier)| {
                Counted::of_site(process, site)?
                    .since(Counted::of_site(earlier, before)?, since.seconds)
            });
            let mut pace = Pace {
                born: counted.map(|(born, _)| born),
                died: counted.map(|(_, died)| died),
                growth: None,
            };
            if followed >= FOLLOWED_OF_PROCESS || *left == 0 {
                return SiteFigures { pace, live: Vec::new() };
            }
            followed = followed.saturating_add(1);
            *left = left.saturating_sub(1);
            let (name, mut track) =
                known.remove_entry(name).unwrap_or_else(|| (name.clone(), SiteTrack::default()));
            track.live.push(at, site.live as f64);
            pace.growth = track.live.growth(WINDOW);
            let live = track.live.values();
            self.sites.insert(name, track);
            SiteFigures { pace, live }
        });
        figures.collect()
    }
}

fn delays(before: &Process, now: &Process) -> (Option<Spread>, Option<Spread>) {
    let of_runtime = |process: &'_ Process| process.runtime.as_ref()?.sched_delay.clone();
    let goroutines = of_runtime(before)
        .zip(of_runtime(now))
        .and_then(|(before, now)| Spread::of_goroutines(&before, &now));
    let threads = before
        .sched
        .as_ref()
        .zip(now.sched.as_ref())
        .and_then(|(before, now)| Spread::of_threads(&before.delay, &now.delay));
    (goroutines, threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::top::made_up;

    #[test]
    fn rates_by_the_snapshots_own_times() {
        let mut tracker = Tracker::default();
        let first = tracker.take(made_up::snapshot(100.0, vec![made_up::process(7, 5)]));
        assert_eq!(first.seconds, None);
        assert_eq!(first.figures[0].pace, Pace::default());
        let mut later = made_up::process(7, 25);
        let runtime = later.runtime.as_mut().unwrap();
        (runtime.counts.created, runtime.counts.exited) = (1030, 990);
        let second = tracker.take(made_up::snapshot(102.0, vec![later]));
        assert_eq!(second.seconds, Some(2.0));
        let pace = second.figures[0].pace;
        assert_eq!((pace.born, pace.died, pace.growth), (Some(15.0), Some(0.0), Some(10.0)));
        assert_eq!(second.figures[0].lately.live, [5.0, 25.0]);
    }

    #[test]
    fn another_process_of_the_same_id_begins_anew() {
        let mut tracker = Tracker::default();
        tracker.take(made_up::snapshot(100.0, vec![made_up::process(7, 5)]));
        let mut other = made_up::process(7, 50);
        other.id.start.0 += 1;
        let picture = tracker.take(made_up::snapshot(101.0, vec![other]));
        assert_eq!(picture.figures[0].pace, Pace::default());
        assert_eq!(picture.figures[0].lately.live, [50.0]);
        assert_eq!(tracker.processes.len(), 1);
    }

    #[test]
    fn sites_grow_by_the_time_of_the_look_at_them() {
        let mut tracker = Tracker::default();
        let at = |taken_at: f64, looked: f64, live| {
            let mut process = made_up::process(7, 5);
            process.sites = vec![made_up::site("main.leak", live)];
            made_up::look(&mut process, looked);
            made_up::snapshot(taken_at, vec![process])
        };
        tracker.take(at(100.0, 100.0, 10));
        // The same look again says nothing new.
        assert_eq!(tracker.take(at(101.0, 100.0, 10)).figures[0].sites[0].pace.growth, None);
        let picture = tracker.take(at(102.0, 102.0, 20));
        let site = &picture.figures[0].sites[0];
        assert_eq!((site.pace.growth, site.live.len()), (Some(5.0), 2));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut tracker = Tracker::default();
        for round in 0..5_u32 {
            let processes = (0..200).map(|pid| {
                let mut process = made_up::process(pid, 5);
                let name = |number| format!("main.f{round}x{number}");
                process.sites = (0..300).map(|number| made_up::site(&name(number), 1)).collect();
                process
            });
            tracker.take(made_up::snapshot(f64::from(round), processes.collect()));
        }
        let sites: usize = tracker.processes.values().map(|track| track.sites.len()).sum();
        assert!(sites <= FOLLOWED, "{sites}");
        assert!(tracker.processes.values().all(|track| track.sites.len() <= FOLLOWED_OF_PROCESS));
        tracker.take(made_up::snapshot(9.0, Vec::new()));
        assert!(tracker.processes.is_empty());
    }
}
