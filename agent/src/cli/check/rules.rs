//! Which of the goroutines that stand still are left behind.
//!
//! That a goroutine waits is no leak: pools and listeners do so all their life. In a test program
//! it is one where its test is over. In any other where nothing can wake it, where the site's number
//! keeps growing, or where the program is over: what waits for others then has waited in vain. Of a
//! service, and of what takes up work again and again, that cannot be said: it is meant to wait. With
//! `--strict` every one of them is a leak.

use std::{collections::HashMap, time::Duration};

use super::standing::{Standing, Track, Wait};
use crate::judge::process::SiteAddress;

/// Why goroutines are taken for left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// The test that made them is over.
    Outlived,
    /// Nothing can wake them.
    Never,
    /// There are more and more.
    Growth,
    /// The program that made them is over.
    Left,
    /// They were blocked at the last look, and that is all that was asked for.
    Strict,
}

impl Rule {
    /// The rule's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Outlived => "outlived",
            Self::Never => "never",
            Self::Growth => "growth",
            Self::Left => "left",
            Self::Strict => "strict",
        }
    }
}

/// Goroutines of one creation site that stand still.
#[derive(Clone, Debug)]
pub(super) struct Still {
    pub(super) site: SiteAddress,
    /// Why they are left behind; `None` where they may well not be.
    pub(super) rule: Option<Rule>,
    /// What the rule found, as a sentence without a full stop.
    pub(super) evidence: String,
    pub(super) goroutines: u64,
    pub(super) stack_bytes: u64,
    /// For how long the one that stands longest has.
    pub(super) still_for: Duration,
    /// The runtime's number of what most of them wait for.
    pub(super) wait_reason: u8,
}

/// What is asked of the rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) settle: Duration,
    pub(super) strict: bool,
    /// Sites that the judge of long times has confirmed, with what it says.
    pub(super) confirmed: &'a HashMap<SiteAddress, String>,
    /// Is the program a test?
    pub(super) is_test: bool,
    /// Did it end of itself, as programs do that have done what they were for?
    pub(super) is_over: bool,
}

/// Judges the goroutines that stand still, by site; those that are left behind first.
pub(super) fn judge(standing: &Standing, asked: Asked<'_>) -> Vec<Still> {
    let mut sites: HashMap<SiteAddress, Vec<&Track>> = HashMap::new();
    for track in standing.settled(asked.settle) {
        sites.entry(track.seen.site).or_default().push(track);
    }
    let mut all = Vec::new();
    for (site, tracks) in sites {
        let (rule, evidence, left) = rule(standing, asked, site, &tracks);
        let mut rest = tracks;
        rest.retain(|track| !left.iter().any(|left| left.seen.goid == track.seen.goid));
        // Only a test is expected to close what it opened.
        rest.retain(|track| asked.is_test || track.seen.wait != Wait::Io);
        if let Some(rule) = rule {
            all.push(sum(standing, site, &left, Some(rule), evidence));
        }
        if !rest.is_empty() {
            all.push(sum(standing, site, &rest, None, String::new()));
        }
    }
    all.sort_by_key(|still| (still.rule.is_none(), u64::MAX - still.goroutines, still.site));
    all
}

fn rule<'a>(
    standing: &Standing,
    asked: Asked<'_>,
    site: SiteAddress,
    tracks: &[&'a Track],
) -> (Option<Rule>, String, Vec<&'a Track>) {
    let those = |wanted: &dyn Fn(&Track) -> bool| -> Vec<&'a Track> {
        tracks.iter().copied().filter(|track| wanted(track)).collect()
    };
    if asked.is_test {
        let outlived = those(&|track| standing.outlived_its_test(track.seen.goid));
        if !outlived.is_empty() {
            return (Some(Rule::Outlived), "the test that made them is over".to_owned(), outlived);
        }
    }
    let never = those(&|track| track.seen.wait == Wait::Never);
    if !never.is_empty() {
        return (Some(Rule::Never), "nothing can wake them".to_owned(), never);
    }
    let stuck = those(&|track| track.seen.wait == Wait::Others);
    if let Some(words) = asked.confirmed.get(&site) {
        return (Some(Rule::Growth), words.clone(), stuck);
    }
    if let Some((net, took)) =
        standing.growth(&site).and_then(|growth| growth.unbroken(asked.settle))
    {
        let seconds = took.as_secs_f64();
        return (
            Some(Rule::Growth),
            format!("{net} more in {seconds:.1} s, without a break"),
            stuck,
        );
    }
    let left = those(&|track| track.seen.wait == Wait::Others && !standing.is_idle(&track.seen));
    if asked.is_over && !asked.is_test && !standing.is_service() && !left.is_empty() {
        return (Some(Rule::Left), "blocked until the program was over".to_owned(), left);
    }
    let strict = those(&|track| track.seen.wait == Wait::Others || asked.is_test);
    if asked.strict && !strict.is_empty() {
        return (Some(Rule::Strict), "blocked at the last look".to_owned(), strict);
    }
    (None, String::new(), Vec::new())
}

fn sum(
    standing: &Standing,
    site: SiteAddress,
    tracks: &[&Track],
    rule: Option<Rule>,
    evidence: String,
) -> Still {
    let mut reasons: HashMap<u8, u64> = HashMap::new();
    for track in tracks {
        *reasons.entry(track.seen.wait_reason).or_default() += 1;
    }
    let most = reasons.iter().max_by_key(|(reason, count)| (**count, **reason));
    Still {
        site,
        rule,
        evidence,
        goroutines: u64::try_from(tracks.len()).unwrap_or(u64::MAX),
        stack_bytes: tracks.iter().map(|track| track.seen.stack_bytes).sum(),
        still_for: tracks.iter().map(|track| standing.still_for(track)).max().unwrap_or_default(),
        wait_reason: most.map_or(0, |(reason, _)| *reason),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{kind::Kind, standing::Seen},
        *,
    };
    use crate::inspect::address::ProcessAddress;

    const SETTLE: Duration = Duration::from_millis(500);

    fn seen(goid: u64, parent: u64, kind: Kind, wait: Wait) -> Seen {
        Seen {
            goid,
            parent: Some(parent),
            site: (ProcessAddress(1), ProcessAddress(2)),
            kind,
            wait,
            wait_reason: 7,
            takes_work: true,
            stack_bytes: 2048,
            stand: (0, 3, 4),
        }
    }

    fn judged(looks: &[&[Seen]], strict: bool, is_test: bool) -> Vec<(Option<Rule>, u64)> {
        judged_when(looks, strict, is_test, false)
    }

    fn judged_when(
        looks: &[&[Seen]],
        strict: bool,
        is_test: bool,
        is_over: bool,
    ) -> Vec<(Option<Rule>, u64)> {
        let mut standing = Standing::default();
        for (at, look) in (0..).step_by(300).zip(looks) {
            standing.take(Duration::from_millis(at), SETTLE, look);
        }
        let confirmed = HashMap::new();
        let asked = Asked { settle: SETTLE, strict, confirmed: &confirmed, is_test, is_over };
        judge(&standing, asked).iter().map(|still| (still.rule, still.goroutines)).collect()
    }

    #[test]
    fn blocked_is_not_left_behind() {
        let main = seen(1, 0, Kind::Main, Wait::No);
        let pool = [main, seen(5, 1, Kind::Program, Wait::Others)];
        let looks: [&[Seen]; 3] = [&pool, &pool, &pool];
        assert_eq!(judged(&looks, false, false), [(None, 1)]);
        assert_eq!(judged(&looks, false, true), [(None, 1)]);
        assert_eq!(judged(&looks, true, false), [(Some(Rule::Strict), 1)]);
        let listener = [main, seen(5, 1, Kind::Program, Wait::Io)];
        assert_eq!(judged(&[&listener, &listener, &listener], true, false), []);
        let never = [main, seen(5, 1, Kind::Program, Wait::Never)];
        assert_eq!(judged(&[&never, &never, &never], false, false), [(Some(Rule::Never), 1)]);
    }

    #[test]
    fn what_waits_until_the_program_is_over_is() {
        let main = seen(1, 0, Kind::Main, Wait::No);
        let waits = seen(5, 1, Kind::Program, Wait::Others);
        let look = [main, waits];
        let over = |look: &[Seen]| judged_when(&[look, look, look], false, false, true);
        assert_eq!(over(&look), [(Some(Rule::Left), 1)]);
        assert_eq!(judged_when(&[&look, &look, &look], false, true, true), [(None, 1)]);
        // Who sleeps ends with the program, as it should.
        assert_eq!(over(&[main, seen(5, 1, Kind::Program, Wait::No)]), []);
    }

    #[test]
    fn what_is_meant_to_wait_until_then_is_not() {
        let main = seen(1, 0, Kind::Main, Wait::No);
        let other = (ProcessAddress(8), ProcessAddress(9));
        let waits = seen(5, 1, Kind::Program, Wait::Others);
        let over = |looks: &[&[Seen]]| judged_when(looks, false, false, true);
        // It listens; or main does itself.
        let listener = Seen { site: other, ..seen(6, 1, Kind::Program, Wait::Io) };
        let look = [main, waits, listener];
        assert_eq!(over(&[&look, &look, &look]), [(None, 1)]);
        let look = [Seen { wait: Wait::Io, ..main }, waits];
        assert_eq!(over(&[&look, &look, &look]), [(None, 1)]);
        // It is told when to end.
        let signals = Seen { site: other, ..seen(6, 1, Kind::Signals, Wait::No) };
        let look = [main, waits, signals];
        assert_eq!(over(&[&look, &look, &look]), [(None, 1)]);
        // One of a pool had work once.
        let worked = Seen { stand: (1, 3, 4), ..waits };
        let (first, then) =
            ([main, waits], [main, worked, seen(6, 1, Kind::Program, Wait::Others)]);
        assert_eq!(over(&[&first, &then, &then, &then]), [(None, 2)]);
    }

    #[test]
    fn what_outlives_its_test_is() {
        let main = seen(1, 0, Kind::Main, Wait::No);
        let (test, other) = (seen(20, 1, Kind::Test, Wait::No), seen(30, 1, Kind::Test, Wait::No));
        let left = seen(21, 20, Kind::Program, Wait::Io);
        let own = seen(31, 30, Kind::Program, Wait::Others);
        let (first, then) = ([main, test, left], [main, other, left, own]);
        let looks: [&[Seen]; 5] = [&first, &then, &then, &then, &then];
        assert_eq!(judged(&looks, false, true), [(Some(Rule::Outlived), 1), (None, 1)]);
        assert_eq!(judged(&looks, false, false), [(None, 1)]);
    }

    #[test]
    fn growth_is() {
        let main = seen(1, 0, Kind::Main, Wait::No);
        let all: Vec<Seen> =
            (2..40).map(|goid| seen(goid, 1, Kind::Program, Wait::Others)).collect();
        let looks: Vec<Vec<Seen>> = (0..12)
            .map(|look| [main].into_iter().chain(all.iter().take(look * 2).copied()).collect())
            .collect();
        let looks: Vec<&[Seen]> = looks.iter().map(Vec::as_slice).collect();
        assert_eq!(judged(&looks, false, false), [(Some(Rule::Growth), 18)]);
    }
}
