//! The sites of one process, from look to look.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use super::{
    goids::Marks,
    history::{History, PACES, Point},
    look::{Look, Seen, Tracker},
    verdict::Standing,
    waiting,
};
use crate::{
    inspect::address::ProcessAddress,
    model::leak::{Evidence, Verdict},
    read::{Group, GroupKey, State},
};

/// Sites of a process that have a history. Those with fewest goroutines are forgotten first.
const MAX_SITES: usize = 1024;
/// Sites with fewer goroutines than this have none. What leaks one a minute has to be seen from its
/// beginning.
const LEAST_LIVE: u64 = 2;
/// Points at the fast pace that growth is told by: a minute.
const GROWTH_POINTS: usize = 13;

/// A creation site, by addresses in the process: behind the `go` statement, and of the function
/// started.
pub type SiteAddress = (ProcessAddress, ProcessAddress);

/// The judge of one process.
#[derive(Debug, Default)]
pub struct ProcessJudge {
    marks: Marks,
    tracker: Tracker,
    last: [Option<Duration>; PACES.len()],
    sites: HashMap<SiteAddress, Site>,
}

#[derive(Debug, Default)]
struct Site {
    histories: [History; PACES.len()],
    standing: Standing,
    live: u64,
    stack_bytes: u64,
    /// What most of its goroutines do, by state and number of the reason.
    most: Option<(State, u8)>,
}

/// A site that is judged to leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Which one.
    pub site: SiteAddress,
    /// How sure.
    pub verdict: Verdict,
    /// State of most of its goroutines, and the number of their wait reason.
    pub most: (State, u8),
    /// Goroutines alive.
    pub goroutines: u64,
    /// How many more there are each minute.
    pub per_minute: f64,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// When the evidence began to point there.
    pub since: Duration,
    /// When it had held long enough.
    pub confirmed_at: Option<Duration>,
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
}

impl ProcessJudge {
    /// Begins a look at `at`, on any clock that never goes back. `None` where it is too early.
    pub fn look(&mut self, at: Duration) -> Option<Look> {
        let look = Look::new(at, &self.marks, &self.last, std::mem::take(&mut self.tracker));
        if look.is_due() {
            return Some(look);
        }
        self.tracker = look.tracker;
        None
    }

    /// Ends a look: `groups` are those that the goroutines were put to, and `word` tells the
    /// runtime's word for the number of a wait reason.
    pub fn take<'a>(
        &mut self,
        look: Look,
        groups: &[(GroupKey, Group)],
        word: impl Fn(u8) -> Option<&'a str>,
    ) {
        let Look { at, due, seen, highest, goroutines, tracker } = look;
        self.marks.add(at, highest);
        self.tracker = tracker.turn(goroutines);
        let paces = due.map(|due| due.is_some());
        for (last, is_new) in self.last.iter_mut().zip(paces) {
            if is_new {
                *last = Some(at);
            }
        }
        let mut sums = sums(groups, &seen);
        if sums.len() > MAX_SITES {
            let mut largest: Vec<_> = sums.iter().map(|(site, sum)| (sum.live, *site)).collect();
            largest.sort_by_key(|(live, site)| (Reverse(*live), *site));
            for (_, site) in largest.into_iter().skip(MAX_SITES) {
                sums.remove(&site);
            }
        }
        self.sites
            .retain(|address, site| sums.contains_key(address) || site.standing.verdict.is_some());
        // Of a site whose goroutines are all gone, too, it must be seen that they are.
        let gone = self.sites.keys().filter(|address| !sums.contains_key(*address));
        let gone: Vec<_> = gone.map(|address| (*address, Sum::default())).collect();
        for (address, sum) in sums.into_iter().chain(gone) {
            if sum.live < LEAST_LIVE && !self.sites.contains_key(&address) {
                continue;
            }
            let site = self.sites.entry(address).or_default();
            site.add(at, &sum, paces);
            let words = sum.doing.iter().map(|((state, reason), count)| {
                let reason = word(*reason).filter(|_| *state == State::Waiting);
                (reason.unwrap_or_else(|| state.as_str()), *count)
            });
            let waiting = waiting::judge(words);
            site.standing.judge(&site.histories, paces, sum.live, waiting, at);
        }
    }

    /// How many more goroutines there are each minute, of the sites that have a history; verdict or
    /// not.
    #[must_use]
    pub fn growth(&self) -> HashMap<SiteAddress, f64> {
        let growth = self.sites.iter().map(|(address, site)| Some((*address, site.growth()?)));
        growth.flatten().collect()
    }

    /// The sites that are judged to leak, those with most goroutines first.
    #[must_use]
    pub fn leaks(&self) -> Vec<Judged> {
        let judged = |(address, site): (&SiteAddress, &Site)| {
            let Standing { verdict, since, confirmed_at, per_second, evidence, .. } =
                &site.standing;
            Some(Judged {
                site: *address,
                verdict: (*verdict)?,
                most: site.most?,
                goroutines: site.live,
                per_minute: per_second * 60.0,
                stack_bytes: site.stack_bytes,
                since: (*since)?,
                confirmed_at: *confirmed_at,
                evidence: evidence.clone(),
            })
        };
        let mut leaks: Vec<Judged> = self.sites.iter().filter_map(judged).collect();
        leaks.sort_by_key(|leak| (Reverse(leak.goroutines), leak.site));
        leaks
    }
}

impl Site {
    /// How many more there are each minute, by the points of the last minute.
    fn growth(&self) -> Option<f64> {
        self.histories.first()?.growth(GROWTH_POINTS).map(|per_second| per_second * 60.0)
    }

    fn add(&mut self, at: Duration, sum: &Sum, paces: [bool; PACES.len()]) {
        let each = self.histories.iter_mut().zip(paces).zip(sum.seen.old).zip(sum.seen.survivors);
        for (((history, is_new), old), survivors) in each {
            if is_new {
                let Seen { tracked, still, .. } = sum.seen;
                history.add(Point { at, old, survivors, tracked, still });
            }
        }
        self.live = sum.live;
        self.stack_bytes = sum.stack_bytes;
        let most = sum.doing.iter().max_by_key(|(doing, count)| (**count, Reverse(**doing)));
        self.most = most.map(|(doing, _)| *doing).or(self.most);
    }
}

/// What the groups of one site come to.
#[derive(Debug, Default)]
struct Sum {
    seen: Seen,
    live: u64,
    stack_bytes: u64,
    doing: HashMap<(State, u8), u64>,
}

fn sums(groups: &[(GroupKey, Group)], seen: &[Seen]) -> HashMap<SiteAddress, Sum> {
    let mut sums: HashMap<SiteAddress, Sum> = HashMap::new();
    for ((key, group), seen) in groups.iter().zip(seen) {
        // The runtime's own goroutines are the runtime's concern.
        if key.system {
            continue;
        }
        let sum = sums.entry((key.created_at, key.start)).or_default();
        sum.live += group.goroutines;
        sum.stack_bytes = sum.stack_bytes.saturating_add(group.stack_bytes);
        *sum.doing.entry((key.state, key.wait_reason)).or_default() += group.goroutines;
        sum.seen.tracked += seen.tracked;
        sum.seen.still += seen.still;
        for (to, from) in sum.seen.old.iter_mut().zip(seen.old) {
            *to += from;
        }
        for (to, from) in sum.seen.survivors.iter_mut().zip(seen.survivors) {
            *to += from;
        }
    }
    sums
}
