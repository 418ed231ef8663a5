//! What do they wait for?
//!
//! Who waits for another goroutine may wait for good. Who sleeps, or waits for the network, will
//! be woken by something outside, and is patient for good reasons.

use super::Says;

/// Wait reasons of those who wait for other goroutines, as the runtime words them.
/// <https://github.com/golang/go/blob/go1.27.0/src/runtime/runtime2.go> (`waitReasonStrings`)
const FOR_OTHERS: [&str; 16] = [
    "chan receive",
    "chan receive (nil chan)",
    "chan send",
    "chan send (nil chan)",
    "select",
    "select (no cases)",
    "semacquire",
    "sync.Cond.Wait",
    "sync.Mutex.Lock",
    "sync.RWMutex.Lock",
    "sync.RWMutex.RLock",
    "sync.WaitGroup.Wait",
    "chan receive (synctest)",
    "chan send (synctest)",
    "select (synctest)",
    "leaked",
];
/// Wait reasons of those who will never be woken, whatever happens.
const FOR_GOOD: [&str; 4] =
    ["chan receive (nil chan)", "chan send (nil chan)", "select (no cases)", "leaked"];
/// Part of a site's goroutines that do the same.
const MOST: f64 = 0.7;

/// Who waits for this, in the runtime's words, waits for other goroutines.
#[must_use]
pub fn is_for_others(word: &str) -> bool {
    FOR_OTHERS.contains(&word)
}

/// Who waits for this, in the runtime's words, will never be woken.
#[must_use]
pub fn is_for_good(word: &str) -> bool {
    FOR_GOOD.contains(&word)
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) says: Says,
    /// Nothing will ever wake them.
    pub(super) for_good: bool,
    /// The part that waits for others.
    pub(super) part: f64,
}

/// Judges what goroutines do: words, with how many.
pub(super) fn judge<'a>(doing: impl Iterator<Item = (&'a str, u64)>) -> Waiting {
    let (mut all, mut others, mut good) = (0, 0, 0);
    for (word, count) in doing {
        all += count;
        others += if is_for_others(word) { count } else { 0 };
        good += if is_for_good(word) { count } else { 0 };
    }
    let most = |count: u64| count > 0 && count as f64 >= all as f64 * MOST;
    let says = match all {
        0 => Says::Unknown,
        _ if most(others) => Says::Leak,
        _ => Says::Fine,
    };
    let part = if all > 0 { others as f64 / all as f64 } else { 0.0 };
    Waiting { says, for_good: most(good), part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_others_may_wait_for_good() {
        let says = |doing: &[(&'static str, u64)]| judge(doing.iter().copied()).says;
        assert_eq!(says(&[("chan receive", 50), ("running", 1)]), Says::Leak);
        assert_eq!(says(&[("IO wait", 50), ("chan receive", 1)]), Says::Fine);
        assert_eq!(says(&[("sleep", 50)]), Says::Fine);
        assert_eq!(says(&[("runnable", 30), ("select", 20)]), Says::Fine);
        assert_eq!(says(&[]), Says::Unknown);
    }

    #[test]
    fn nothing_wakes_a_goroutine_at_a_nil_channel() {
        assert!(judge([("chan receive (nil chan)", 9)].into_iter()).for_good);
        assert!(!judge([("chan receive", 9)].into_iter()).for_good);
    }
}
