//! Have they run since the look before?
//!
//! A goroutine that runs changes `trackingSeq`, and where it stands; of a sample of goroutines
//! these are compared from look to look.

use super::{Says, history::Rise};

/// Nearly none has run, where they are stuck.
const STILL: f64 = 0.85;
/// Where less are still, they are at work.
const AT_WORK: f64 = 0.6;
/// Fewer tell nothing.
const LEAST: u64 = 4;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stillness {
    pub(super) says: Says,
    /// The part that has not run.
    pub(super) part: f64,
}

/// Judges a rise.
pub(super) fn judge(rise: &Rise) -> Stillness {
    let tracked: u64 = rise.0.iter().map(|point| point.tracked).sum();
    let still: u64 = rise.0.iter().map(|point| point.still).sum();
    let part = if tracked > 0 { still as f64 / tracked as f64 } else { 0.0 };
    let says = match part {
        _ if tracked < LEAST => Says::Unknown,
        part if part >= STILL => Says::Leak,
        part if part <= AT_WORK => Says::Fine,
        _ => Says::Unknown,
    };
    Stillness { says, part }
}

#[cfg(test)]
mod tests {
    use super::{super::history::Point, *};

    fn says(tracked: u64, still: u64) -> Says {
        judge(&Rise(vec![Point { tracked, still, ..Point::default() }])).says
    }

    #[test]
    fn those_that_do_not_run_are_stuck() {
        assert_eq!(says(100, 100), Says::Leak);
        assert_eq!(says(100, 95), Says::Leak);
        assert_eq!(says(100, 75), Says::Unknown);
        assert_eq!(says(100, 10), Says::Fine);
        assert_eq!(says(3, 3), Says::Unknown);
    }
}
