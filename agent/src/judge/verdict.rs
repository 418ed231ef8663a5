//! Puts together what the rules say of a site.

use std::time::Duration;

use super::{
    Says, growth,
    history::{History, PACES, Pace, Rise},
    stillness, survivors,
    waiting::Waiting,
};
use crate::model::leak::{Evidence, Verdict};

/// The evidence must have held for so many points, less those where it did not, before a suspicion
/// is confirmed.
const HOLDS: usize = 3;
/// Points that a rise needs before it says anything.
const LEAST_POINTS: usize = 6;
/// And for how long it must have gone on, by the pace.
const LEAST_INTERVALS: u32 = 6;
/// Goroutines that run now and then look like those of a pool that grows. They are judged after
/// more points, only while their number grows as fast as it began to, and where nearly all of them
/// wait whenever they are looked at.
const LEAST_POINTS_AT_WORK: usize = 7;
/// Where it cannot be said whether they run, because some have and some have not yet, it takes longer
/// to see whether the growth fades, as that of a cache does that warms up.
const LEAST_POINTS_UNDECIDED: usize = 10;
const STEADY_UNDECIDED: f64 = 0.9;
const NEARLY_ALL: f64 = 0.95;
/// A leak is over when less than this part of its goroutines is left.
const DRAINED: f64 = 0.5;

/// What is held of a site from look to look.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// For how many points the evidence has held, less those where it did not, at each pace.
    held: [usize; PACES.len()],
    pub(super) verdict: Option<Verdict>,
    /// When it began.
    pub(super) since: Option<Duration>,
    pub(super) confirmed_at: Option<Duration>,
    /// The most goroutines since then.
    peak: u64,
    pub(super) per_second: f64,
    pub(super) evidence: Vec<Evidence>,
}

impl Standing {
    /// Takes what is known after a look: `live` goroutines; at `paces` there is a new point.
    pub(super) fn judge(
        &mut self,
        histories: &[History; PACES.len()],
        paces: [bool; PACES.len()],
        live: u64,
        waiting: Waiting,
        at: Duration,
    ) {
        let mut refuted = false;
        for (((pace, history), is_new), held) in
            PACES.iter().zip(histories).zip(paces).zip(&mut self.held)
        {
            if !is_new {
                continue;
            }
            match weigh(pace, &history.rise(pace.points), waiting) {
                Weight::Leak { evidence, per_second } => {
                    *held = (*held + 1).min(2 * HOLDS);
                    self.evidence = evidence;
                    self.per_second = per_second;
                }
                // One odd point does not make all those before it void.
                Weight::Unknown => *held = held.saturating_sub(1),
                Weight::AtWork => {
                    *held = 0;
                    refuted = true;
                }
            }
        }
        self.peak = self.peak.max(live);
        let drained = (live as f64) < self.peak as f64 * DRAINED;
        if drained || refuted {
            self.held = [0; PACES.len()];
        }
        let held = self.held.iter().copied().max().unwrap_or(0);
        self.verdict = match self.verdict {
            Some(Verdict::Confirmed) if !drained && !refuted => Some(Verdict::Confirmed),
            _ if held >= HOLDS => Some(Verdict::Confirmed),
            _ if held > 0 => Some(Verdict::Suspected),
            _ => None,
        };
        match self.verdict {
            None => *self = Self { held: self.held, ..Self::default() },
            Some(verdict) => {
                self.since.get_or_insert(at);
                if verdict == Verdict::Confirmed {
                    self.confirmed_at.get_or_insert(at);
                }
            }
        }
    }
}

/// What all rules say together.
enum Weight {
    Leak {
        evidence: Vec<Evidence>,
        per_second: f64,
    },
    Unknown,
    /// It grew, but its goroutines have turned out to be at work.
    AtWork,
}

fn weigh(pace: &Pace, rise: &Rise, waiting: Waiting) -> Weight {
    // Looks come sooner than the pace at times. What starts all its workers in half a minute has
    // to be seen to stop.
    if rise.duration() < pace.every * LEAST_INTERVALS * 19 / 20 {
        return Weight::Unknown;
    }
    let growth = growth::judge(pace, rise, LEAST_POINTS);
    let survivors = survivors::judge(rise, pace.few);
    let stillness = stillness::judge(rise);
    if stillness.says == Says::Fine && survivors.says == Says::Fine {
        return Weight::AtWork;
    }
    let all = [growth.says, survivors.says, waiting.says];
    if all.iter().any(|says| *says != Says::Leak) {
        return Weight::Unknown;
    }
    let stuck = stillness.says == Says::Leak || waiting.for_good;
    let (least_points, steady) = match stillness.says {
        Says::Unknown => (LEAST_POINTS_UNDECIDED, STEADY_UNDECIDED),
        _ => (LEAST_POINTS_AT_WORK, growth::STEADY),
    };
    let grows_on = rise.0.len() >= least_points
        && growth.steadiness >= steady
        && survivors.ended == 0
        && waiting.part >= NEARLY_ALL;
    if !stuck && !grows_on {
        return Weight::Unknown;
    }
    let seconds = rise.duration().as_secs();
    let evidence = vec![
        Evidence {
            rule: "growth",
            words: format!("{} goroutines more in {seconds} s, without a break", growth.net),
            value: growth.per_second,
        },
        Evidence {
            rule: "survivors",
            words: format!(
                "of {} that were older than {} s, {} have ended",
                survivors.settled,
                pace.settled.as_secs(),
                survivors.ended
            ),
            value: survivors.ended as f64,
        },
        Evidence {
            rule: "stillness",
            words: format!(
                "{:.0} % have not run from one look to the next",
                stillness.part * 100.0
            ),
            value: stillness.part,
        },
        Evidence {
            rule: "waiting",
            words: if waiting.for_good {
                "nothing can wake them".to_owned()
            } else {
                "they wait for other goroutines".to_owned()
            },
            value: f64::from(u8::from(waiting.for_good)),
        },
    ];
    Weight::Leak { evidence, per_second: growth.per_second }
}
