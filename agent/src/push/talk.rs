//! What is said in the log of a server that does not do: once, and not at every attempt.

use std::time::{Duration, Instant};

/// Another reason is told after so long at the earliest.
const PAUSE: Duration = Duration::from_secs(60);
/// The same reason is told again after so long.
const REMINDER: Duration = Duration::from_secs(3600);

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    last: Option<(String, Instant)>,
    failing: bool,
}

impl Talk {
    /// Is this reason to be told now?
    pub(crate) fn tells(&mut self, reason: &str, now: Instant) -> bool {
        self.failing = true;
        let tells = self.last.as_ref().is_none_or(|(told, at)| {
            let since = now.saturating_duration_since(*at);
            since >= REMINDER || (since >= PAUSE && told != reason)
        });
        if tells {
            self.last = Some((reason.to_owned(), now));
        }
        tells
    }

    /// It works. Is that news worth telling?
    pub(crate) fn works(&mut self) -> bool {
        std::mem::take(&mut self.failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once() {
        let (mut talk, start) = (Talk::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!talk.works());
        assert!(talk.tells("a", at(0)));
        assert!(!talk.tells("a", at(100)));
        assert!(talk.tells("b", at(101)));
        assert!(!talk.tells("a", at(102)));
        assert!(talk.works() && !talk.works());
        assert!(!talk.tells("b", at(103)));
        assert!(talk.tells("b", at(101 + 3600)));
    }
}
