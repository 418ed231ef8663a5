//! Do those that have settled ever end?

use super::{Says, history::Rise};

/// Where more end than this, they do not.
const MANY: f64 = 0.25;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survivors {
    pub(super) says: Says,
    /// Goroutines that settled, and those that ended after they had.
    pub(super) settled: u64,
    pub(super) ended: u64,
}

/// Judges a rise; where they leak, at most the part `few` of those that settled has ended.
pub(super) fn judge(rise: &Rise, few: f64) -> Survivors {
    let (mut settled, mut ended) = (0_u64, 0_u64);
    for pair in rise.0.windows(2) {
        let [before, point] = pair else { continue };
        settled += point.old.saturating_sub(point.survivors);
        ended += before.old.saturating_sub(point.survivors);
    }
    let part = if settled > 0 { ended as f64 / settled as f64 } else { 0.0 };
    let says = match part {
        _ if settled == 0 => Says::Unknown,
        part if part <= few => Says::Leak,
        part if part >= MANY => Says::Fine,
        _ => Says::Unknown,
    };
    Survivors { says, settled, ended }
}

#[cfg(test)]
mod tests {
    use super::{super::history::Point, *};

    fn judged(points: &[(u64, u64)]) -> Survivors {
        let point = |&(old, survivors): &(u64, u64)| Point { old, survivors, ..Point::default() };
        judge(&Rise(points.iter().map(point).collect()), 0.1)
    }

    #[test]
    fn those_that_never_end_leak() {
        let found = judged(&[(0, 0), (25, 0), (50, 25), (75, 49)]);
        assert_eq!((found.says, found.settled, found.ended), (Says::Leak, 76, 1));
    }

    #[test]
    fn those_that_come_and_go_do_not() {
        assert_eq!(judged(&[(10, 0), (30, 2), (50, 12)]).says, Says::Fine);
        assert_eq!(judged(&[(10, 0), (10, 10)]).says, Says::Unknown);
    }
}
