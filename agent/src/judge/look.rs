//! One look at all goroutines of a process, with the judge's eyes.
//!
//! While the goroutines are shown one by one, each is put to its group; for each group it is
//! counted how many were there at earlier moments, and how many of a sample have run since the
//! last look. What it costs in memory does not depend on the number of goroutines.

use std::{collections::HashMap, time::Duration};

use super::{
    goids::Marks,
    history::{PACES, Pace},
};
use crate::read::Goroutine;

/// Goroutines in the sample of a process at most.
const MAX_TRACKED: usize = 8192;

/// What one group's goroutines come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// At each pace: those that are settled, and those that were at the last point.
    pub(super) old: [u64; PACES.len()],
    pub(super) survivors: [u64; PACES.len()],
    pub(super) tracked: u64,
    pub(super) still: u64,
}

/// A look that is under way.
#[derive(Debug)]
pub struct Look {
    pub(super) at: Duration,
    /// At each pace: whether a point is due, and the highest numbers of those that are settled, and
    /// of those that were at the last point.
    pub(super) due: [Option<(u64, u64)>; PACES.len()],
    pub(super) seen: Vec<Seen>,
    pub(super) highest: u64,
    pub(super) goroutines: u64,
    pub(super) tracker: Tracker,
}

impl Look {
    pub(super) fn new(
        at: Duration,
        marks: &Marks,
        last: &[Option<Duration>; PACES.len()],
        tracker: Tracker,
    ) -> Self {
        let due = |pace: &Pace, last: Option<Duration>| {
            // Looks do not come to the millisecond.
            let slack = pace.every / 8;
            let is_due = last.is_none_or(|last| at.saturating_sub(last) + slack >= pace.every);
            let settled = |at: Duration| marks.at(at.saturating_sub(pace.settled));
            is_due.then(|| (settled(at), last.map_or(0, settled)))
        };
        let mut dues = [None; PACES.len()];
        for ((slot, pace), last) in dues.iter_mut().zip(&PACES).zip(last) {
            *slot = due(pace, *last);
        }
        Self { at, due: dues, seen: Vec::new(), highest: 0, goroutines: 0, tracker }
    }

    /// Is there anything to see? The fastest pace decides.
    pub(super) fn is_due(&self) -> bool {
        self.due.first().is_some_and(Option::is_some)
    }

    /// Sees a goroutine, which is in this group.
    pub fn add(&mut self, group: usize, goroutine: &Goroutine) {
        self.highest = self.highest.max(goroutine.goid);
        self.goroutines += 1;
        if self.seen.len() <= group {
            self.seen.resize(group + 1, Seen::default());
        }
        let Some(seen) = self.seen.get_mut(group) else { return };
        for (index, due) in self.due.iter().enumerate() {
            let Some((settled, settled_before)) = due else { continue };
            if let Some(old) = seen.old.get_mut(index) {
                *old += u64::from(goroutine.goid <= *settled);
            }
            if let Some(survivors) = seen.survivors.get_mut(index) {
                *survivors += u64::from(goroutine.goid <= *settled_before);
            }
        }
        if let Some(still) = self.tracker.look(goroutine) {
            seen.tracked += 1;
            seen.still += u64::from(still);
        }
    }
}

/// A sample of goroutines, and where each stood.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracker {
    last: HashMap<u64, Stand>,
    now: HashMap<u64, Stand>,
    /// One of 2^n goroutines is in the sample.
    thinned: u32,
}

/// Where a goroutine stands; another once it has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    tracking_seq: u8,
    pc: u64,
    sp: u64,
}

impl Tracker {
    /// Has it stood still since the last look? `None` where it is not in the sample, or new in it.
    fn look(&mut self, goroutine: &Goroutine) -> Option<bool> {
        // Numbers follow one another; multiplied they are spread evenly.
        let spread = goroutine.goid.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.thinned > 0 && spread >> 64_u32.saturating_sub(self.thinned) != 0 {
            return None;
        }
        let stand =
            Stand { tracking_seq: goroutine.tracking_seq, pc: goroutine.pc.0, sp: goroutine.sp.0 };
        if self.now.len() < MAX_TRACKED {
            self.now.insert(goroutine.goid, stand);
        }
        self.last.get(&goroutine.goid).map(|last| *last == stand)
    }

    /// The look is over; there were so many goroutines.
    pub(super) fn turn(mut self, goroutines: u64) -> Self {
        self.last = std::mem::take(&mut self.now);
        self.thinned = 0;
        let most = u64::try_from(MAX_TRACKED / 2).unwrap_or(u64::MAX);
        while goroutines >> self.thinned > most {
            self.thinned += 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inspect::address::ProcessAddress, read::State};

    fn goroutine(goid: u64, tracking_seq: u8) -> Goroutine {
        Goroutine {
            record: ProcessAddress(0),
            goid,
            parent_goid: None,
            state: State::Waiting,
            wait_reason: 1,
            wait_since: 0,
            created_at: ProcessAddress(1),
            start: ProcessAddress(2),
            stack_bytes: 2048,
            tracking_seq,
            pc: ProcessAddress(3),
            sp: ProcessAddress(4),
            system: false,
        }
    }

    #[test]
    fn a_goroutine_that_ran_stands_elsewhere() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.look(&goroutine(1, 0)), None);
        assert_eq!(tracker.look(&goroutine(2, 0)), None);
        let mut tracker = tracker.turn(2);
        assert_eq!(tracker.look(&goroutine(1, 0)), Some(true));
        assert_eq!(tracker.look(&goroutine(2, 1)), Some(false));
        assert_eq!(tracker.look(&goroutine(3, 1)), None);
    }

    #[test]
    fn the_sample_is_bounded_and_even() {
        let mut tracker = Tracker::default().turn(1_000_000);
        for goid in 0..1_000_000 {
            tracker.look(&goroutine(goid, 0));
        }
        let kept = tracker.now.len();
        assert!((2000..=MAX_TRACKED).contains(&kept), "{kept}");
        let upper = tracker.now.keys().filter(|goid| **goid >= 500_000).count();
        assert!(upper.abs_diff(kept / 2) < kept / 10, "{upper} of {kept}");
    }
}
