//! When what has no name yet is looked up again.

use std::time::{Duration, Instant};

use super::wanted::Names;
use crate::discover::identity::Pid;

/// The kubelet writes a name down when a container has started: look again soon.
const FIRST: Duration = Duration::from_millis(50);
/// Of what nobody knows.
const LONGEST: Duration = Duration::from_secs(60);
/// Where a runtime did not answer: it may be restarting.
const LONGEST_WHERE_FAILING: Duration = Duration::from_secs(5);

/// One that is to be named.
#[derive(Debug)]
pub(super) struct Pending {
    /// A process of it.
    pub(super) pid: Pid,
    /// What is known so far.
    pub(super) names: Names,
    /// Whether the runtime has been asked, and has not answered yet.
    pub(super) at_runtime: bool,
    /// When it is to be looked up.
    pub(super) due: Instant,
    tries: u32,
}

impl Pending {
    pub(super) fn new(pid: Pid, now: Instant) -> Self {
        Self { pid, names: Names::default(), at_runtime: false, due: now, tries: 0 }
    }

    /// It was looked up.
    pub(super) fn looked_up(&mut self, now: Instant) {
        self.due = now + pause(self.tries);
        self.tries = self.tries.saturating_add(1);
    }

    /// The runtime could not be asked.
    pub(super) fn failed(&mut self, now: Instant) {
        self.due = self.due.min(now + LONGEST_WHERE_FAILING);
    }
}

fn pause(tries: u32) -> Duration {
    FIRST.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u128> = (0..4).map(|tries| pause(tries).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400]);
        assert_eq!((pause(11), pause(40)), (LONGEST, LONGEST));
        let now = Instant::now();
        let mut pending = Pending::new(Pid(1), now);
        assert_eq!(pending.due, now);
        for _ in 0..20 {
            pending.looked_up(now);
        }
        assert_eq!(pending.due, now + LONGEST);
        pending.failed(now);
        assert_eq!(pending.due, now + LONGEST_WHERE_FAILING);
    }
}
