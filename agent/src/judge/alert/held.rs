//! How long a condition has held.

use std::time::Duration;

use super::Says;

/// After so long without knowing, a condition does not hold any more.
const STALE: Duration = Duration::from_secs(300);

/// How long a condition has held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    since: Option<Duration>,
    /// When it was last known to hold.
    known: Duration,
    long_enough: bool,
}

impl Held {
    /// Takes what the rule says at `at` of the time since `from`, and tells whether the condition
    /// has held for `hold`. Where the rule does not know, that stays as it is for a while.
    pub(super) fn take(
        &mut self,
        says: Says,
        from: Duration,
        at: Duration,
        hold: Duration,
    ) -> bool {
        match says {
            Says::Yes => {
                let since = *self.since.get_or_insert(from);
                self.known = at;
                self.long_enough |= at.saturating_sub(since) >= hold;
            }
            Says::Unknown if at.saturating_sub(self.known) <= STALE => {}
            Says::No | Says::Unknown => *self = Self::default(),
        }
        self.long_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What [`Held::take`] tells of these, one after the other.
    fn told(hold: u64, said: &[(u64, Says)]) -> Vec<bool> {
        let mut held = Held::default();
        said.iter().map(|(at, says)| held.take(*says, s(*at), s(*at), s(hold))).collect()
    }

    #[test]
    fn it_must_hold_without_a_break() {
        use Says::{No, Yes};
        let said = [(0, Yes), (5, Yes), (10, No), (15, Yes), (20, Yes), (25, Yes), (30, No)];
        assert_eq!(told(10, &said), [false, false, false, false, false, true, false]);
    }

    #[test]
    fn none_is_waited_for_where_none_is_asked() {
        assert_eq!(told(0, &[(7, Says::Yes), (8, Says::No)]), [true, false]);
    }

    #[test]
    fn who_does_not_know_changes_nothing_for_a_while() {
        use Says::{Unknown, Yes};
        let said = [(0, Yes), (5, Unknown), (10, Yes), (200, Unknown), (310, Unknown)];
        assert_eq!(told(10, &said), [false, false, true, true, true]);
        let said = [(0, Yes), (10, Yes), (311, Unknown), (312, Yes)];
        assert_eq!(told(10, &said), [false, true, false, false]);
        assert_eq!(told(0, &[(0, Unknown), (1_000, Unknown)]), [false, false]);
    }

    #[test]
    fn a_condition_may_have_begun_before_it_was_looked_at() {
        let mut held = Held::default();
        assert!(!held.take(Says::Yes, s(0), s(5), s(10)));
        assert!(held.take(Says::Yes, s(5), s(10), s(10)));
    }
}
