//! What was seen of the goroutines of one process, look by look: who stands still, since when, and
//! whose test is over.
//!
//! Pure: time and goroutines are passed in.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{growth::Growth, kind::Kind};
use crate::judge::process::SiteAddress;

/// Goroutines of a process that are followed. What leaks shows in that many.
const MAX_TRACKED: usize = 1 << 18;
/// Goroutines whose creator is remembered.
const MAX_PARENTS: usize = 1 << 20;
/// Sites whose numbers are followed.
const MAX_SITES: usize = 4096;
/// Steps from a goroutine to the test it belongs to.
const MAX_STEPS: usize = 64;

/// What a goroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it runs, could run, or will be woken by a clock.
    No,
    /// The network, or a file.
    Io,
    /// Other goroutines.
    Others,
    /// What will never be.
    Never,
}

/// A goroutine at a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) goid: u64,
    pub(super) parent: Option<u64>,
    pub(super) site: SiteAddress,
    pub(super) kind: Kind,
    pub(super) wait: Wait,
    /// The runtime's number of what it waits for.
    pub(super) wait_reason: u8,
    /// Workers wait like this for more work: for a channel or a condition, never for a lock.
    pub(super) takes_work: bool,
    pub(super) stack_bytes: u64,
    /// Another once it has run: `trackingSeq`, program counter, stack pointer.
    pub(super) stand: (u8, u64, u64),
}

/// A goroutine, and since when it stands where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) seen: Seen,
    pub(super) since: Duration,
    places: Places,
}

/// The last places where a goroutine waited for others.
#[derive(Clone, Copy, Debug, Default)]
struct Places([u64; 4]);

impl Places {
    /// Notes where it waits; has it waited there before?
    fn note(&mut self, seen: &Seen) -> bool {
        let (_, pc, sp) = seen.stand;
        let place = pc ^ sp.rotate_left(32) ^ u64::from(seen.wait_reason);
        let known = self.0.contains(&place);
        if !known {
            self.0.rotate_right(1);
            self.0[0] = place;
        }
        known
    }
}

/// Who made a goroutine, and whether it ran a test.
#[derive(Clone, Copy, Debug)]
struct Birth {
    parent: Option<u64>,
    is_test: bool,
    /// When it was seen first.
    seen: Duration,
}

/// The goroutines of a process.
#[derive(Debug, Default)]
pub(super) struct Standing {
    tracks: HashMap<u64, Track>,
    births: HashMap<u64, Birth>,
    growth: HashMap<SiteAddress, Growth>,
    /// Sites of which one has run and then waited where it had waited before, as workers do, and what
    /// it waited for.
    back: HashSet<(SiteAddress, u8)>,
    first: Option<Duration>,
    last: Duration,
    pub(super) looks: u64,
    pub(super) has_tests: bool,
    is_service: bool,
}

impl Standing {
    /// Takes a look at `at`, on any clock that never goes back; who stands still for `settle` is
    /// settled.
    pub(super) fn take(&mut self, at: Duration, settle: Duration, seen: &[Seen]) {
        let mut tracks = HashMap::with_capacity(seen.len().min(MAX_TRACKED));
        let mut settled: HashMap<SiteAddress, u64> = HashMap::new();
        if self.births.len() > MAX_PARENTS {
            let live: HashSet<u64> = seen.iter().map(|seen| seen.goid).collect();
            self.births.retain(|goid, _| live.contains(goid));
        }
        for seen in seen.iter().take(MAX_TRACKED) {
            let before = self.tracks.get(&seen.goid);
            let mut places = before.map_or(Places::default(), |before| before.places);
            if seen.takes_work {
                let moved = before.is_some_and(|before| before.seen.stand != seen.stand);
                let known = places.note(seen);
                if moved && known && self.back.len() < MAX_SITES {
                    self.back.insert((seen.site, seen.wait_reason));
                }
            }
            let still = before
                .filter(|before| before.seen.stand == seen.stand && before.seen.wait != Wait::No);
            let since = still.map_or(at, |before| before.since);
            let is_test = seen.kind == Kind::Test;
            self.has_tests |= is_test;
            self.is_service |= seen.kind == Kind::Signals || seen.wait == Wait::Io;
            self.births.entry(seen.goid).or_insert(Birth {
                parent: seen.parent,
                is_test,
                seen: at,
            });
            let track = Track { seen: *seen, since, places };
            if seen.kind == Kind::Program && is_stuck(&track) {
                let count = settled.entry(seen.site).or_default();
                *count += u64::from(at.saturating_sub(since) >= settle);
            }
            tracks.insert(seen.goid, track);
        }
        for (site, growth) in &mut self.growth {
            growth.add(at, settled.remove(site).unwrap_or(0));
        }
        for (site, count) in settled {
            if self.growth.len() < MAX_SITES {
                self.growth.entry(site).or_default().add(at, count);
            }
        }
        self.tracks = tracks;
        self.first.get_or_insert(at);
        self.last = at;
        self.looks += 1;
    }

    /// From the first look to the last.
    pub(super) fn observed(&self) -> Duration {
        self.last.saturating_sub(self.first.unwrap_or(self.last))
    }

    /// The program's goroutines that stand still at the last look, and have for so long.
    pub(super) fn settled(&self, settle: Duration) -> impl Iterator<Item = &Track> {
        self.tracks.values().filter(move |track| {
            track.seen.kind == Kind::Program
                && track.seen.wait != Wait::No
                && self.last.saturating_sub(track.since) >= settle
        })
    }

    /// How the number of a site's settled goroutines went.
    pub(super) fn growth(&self, site: &SiteAddress) -> Option<&Growth> {
        self.growth.get(site)
    }

    /// Has it waited for the network, or for signals? Such a program is idle until it is asked or told
    /// something, and so may all in it be.
    pub(super) fn is_service(&self) -> bool {
        self.is_service
    }

    /// Does it wait as workers of its site do, who were seen to take up work and come back?
    pub(super) fn is_idle(&self, seen: &Seen) -> bool {
        seen.takes_work && self.back.contains(&(seen.site, seen.wait_reason))
    }

    /// For how long it has stood still.
    pub(super) fn still_for(&self, track: &Track) -> Duration {
        self.last.saturating_sub(track.since)
    }

    /// Was it made by a test that is over? `false` where that is not known, and for what is made by
    /// the main goroutine: that may be for all tests.
    pub(super) fn outlived_its_test(&self, goid: u64) -> bool {
        let mut over = false;
        let mut goid = goid;
        let mut made = Duration::MAX;
        for _ in 0..MAX_STEPS {
            let Some(birth) = self.births.get(&goid) else {
                // It came and went between two looks. Tests that ran then, and still run, may have
                // made it. (The numbers do not tell which came first: each processor has its own.)
                let since = |goid: &u64| self.births.get(goid).is_some_and(|b| b.seen <= made);
                let runs = |track: &Track| track.seen.kind == Kind::Test && since(&track.seen.goid);
                return !self.tracks.values().any(runs);
            };
            made = made.min(birth.seen);
            if let Some(track) = self.tracks.get(&goid) {
                match track.seen.kind {
                    Kind::Test => return false,
                    Kind::Main => return over,
                    Kind::Signals | Kind::Allowed | Kind::Program => {}
                }
            } else {
                over |= birth.is_test;
            }
            match birth.parent {
                Some(parent) if parent != 0 && parent != goid => goid = parent,
                _ => return over,
            }
        }
        false
    }
}

/// Does it wait for what other goroutines have to do?
fn is_stuck(track: &Track) -> bool {
    matches!(track.seen.wait, Wait::Others | Wait::Never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::address::ProcessAddress;

    const SETTLE: Duration = Duration::from_millis(500);

    fn seen(goid: u64, parent: u64, kind: Kind) -> Seen {
        Seen {
            goid,
            parent: Some(parent),
            site: (ProcessAddress(1), ProcessAddress(2)),
            kind,
            wait: Wait::Others,
            wait_reason: 1,
            takes_work: true,
            stack_bytes: 2048,
            stand: (0, 3, 4),
        }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn settled(standing: &Standing) -> Vec<u64> {
        let mut goids: Vec<u64> = standing.settled(SETTLE).map(|track| track.seen.goid).collect();
        goids.sort_unstable();
        goids
    }

    #[test]
    fn who_runs_begins_anew() {
        let mut standing = Standing::default();
        let (quiet, mut busy) = (seen(8, 1, Kind::Program), seen(9, 1, Kind::Program));
        standing.take(at(0), SETTLE, &[quiet, busy]);
        busy.stand.0 = 1;
        standing.take(at(300), SETTLE, &[quiet, busy]);
        assert!(settled(&standing).is_empty());
        standing.take(at(600), SETTLE, &[quiet, busy]);
        assert_eq!(settled(&standing), [8]);
        standing.take(at(800), SETTLE, &[quiet, busy]);
        assert_eq!(settled(&standing), [8, 9]);
        // Gone is gone.
        standing.take(at(900), SETTLE, &[busy]);
        assert_eq!((settled(&standing), standing.looks), (vec![9], 5));
        assert_eq!(standing.observed(), at(900));
    }

    #[test]
    fn only_the_programs_goroutines_that_wait() {
        let mut standing = Standing::default();
        let mut all = [Kind::Main, Kind::Test, Kind::Signals, Kind::Allowed, Kind::Program]
            .map(|kind| seen(kind as u64 + 1, 0, kind));
        standing.take(at(0), SETTLE, &all);
        standing.take(at(600), SETTLE, &all);
        assert_eq!(settled(&standing), [5]);
        all[4].wait = Wait::No;
        standing.take(at(700), SETTLE, &all);
        assert!(settled(&standing).is_empty());
    }

    #[test]
    fn workers_come_back_to_where_they_waited() {
        let waits = seen(8, 1, Kind::Program);
        let stands = |stands: &[(u8, u64)]| {
            let mut standing = Standing::default();
            for (place, (ran, pc)) in (0..).step_by(10).zip(stands) {
                let look = [Seen { stand: (*ran, *pc, 4), ..waits }];
                standing.take(at(place), SETTLE, &look);
            }
            standing.is_idle(&waits)
        };
        assert!(!stands(&[(0, 3), (0, 3), (0, 3)]));
        assert!(stands(&[(0, 3), (1, 3)]));
        assert!(stands(&[(0, 3), (1, 5), (2, 6), (2, 6), (3, 3)]));
        // On its way it waits here and there, as any goroutine does; and for a lock again and again.
        let lock = Seen { takes_work: false, ..waits };
        let mut standing = Standing::default();
        for ran in 0..3 {
            standing.take(at(ran.into()), SETTLE, &[Seen { stand: (ran, 3, 4), ..lock }]);
        }
        assert!(!standing.is_idle(&lock));
        assert!(!stands(&[(0, 3), (1, 5), (2, 6), (2, 6)]));
    }

    #[test]
    fn a_goroutine_belongs_to_its_test_while_that_runs() {
        let main = seen(1, 0, Kind::Main);
        let (test, helper) = (seen(20, 1, Kind::Test), seen(21, 20, Kind::Program));
        let (left, infrastructure) = (seen(22, 21, Kind::Program), seen(5, 1, Kind::Program));
        let mut standing = Standing::default();
        standing.take(at(0), SETTLE, &[main, test, helper, left, infrastructure]);
        assert!(!standing.outlived_its_test(22));
        standing.take(at(100), SETTLE, &[main, test, left, infrastructure]);
        assert!(!standing.outlived_its_test(22));
        standing.take(at(200), SETTLE, &[main, left, infrastructure]);
        assert!(standing.outlived_its_test(22));
        assert!(!standing.outlived_its_test(5));
    }

    #[test]
    fn a_subtest_belongs_to_the_test_around_it() {
        let main = seen(1, 0, Kind::Main);
        let (outer, inner) = (seen(20, 1, Kind::Test), seen(21, 20, Kind::Test));
        let left = seen(22, 21, Kind::Program);
        let mut standing = Standing::default();
        standing.take(at(0), SETTLE, &[main, outer, inner, left]);
        standing.take(at(100), SETTLE, &[main, outer, left]);
        assert!(!standing.outlived_its_test(22));
        standing.take(at(200), SETTLE, &[main, left]);
        assert!(standing.outlived_its_test(22));
    }

    #[test]
    fn a_creator_that_nobody_saw() {
        let main = seen(1, 0, Kind::Main);
        let left = seen(22, 21, Kind::Program);
        let mut standing = Standing::default();
        // A test that ran then may have made goroutine 21; one that began later has not.
        standing.take(at(0), SETTLE, &[main, left, seen(20, 1, Kind::Test)]);
        assert!(!standing.outlived_its_test(22));
        standing.take(at(9), SETTLE, &[main, left, seen(8, 1, Kind::Test)]);
        assert!(standing.outlived_its_test(22));
        // Before Go 1.21 the runtime does not note the creator.
        let unknown = Seen { parent: None, ..left };
        let mut standing = Standing::default();
        standing.take(at(0), SETTLE, &[main, unknown]);
        assert!(!standing.outlived_its_test(22));
    }
}
