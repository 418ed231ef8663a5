//! A made-up process for the judge's tests: goroutines that are born, run, wait and end as they are
//! told to, on a clock that is told too.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small and positive"
)]

use std::time::Duration;

use super::process::{Judged, ProcessJudge};
use crate::{
    inspect::address::ProcessAddress,
    model::leak::Verdict,
    read::{Goroutine, Groups, State},
};

/// Looks are so far apart.
pub(super) const LOOK: f64 = 5.0;

/// The words of the numbers of wait reasons.
const WORDS: [&str; 7] =
    ["", "chan receive", "select", "IO wait", "sleep", "chan receive (nil chan)", "coroutine"];

/// What one goroutine will do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Which `go` statement.
    pub(super) site: u64,
    /// What it waits for.
    pub(super) waits: &'static str,
    /// Seconds until it ends.
    pub(super) lives: f64,
    /// Seconds from one run to the next.
    pub(super) runs_every: f64,
}

/// One that does nothing, for good.
pub(super) const STUCK: Life =
    Life { site: 1, waits: "chan receive", lives: f64::INFINITY, runs_every: f64::INFINITY };

struct Being {
    goid: u64,
    life: Life,
    born: f64,
}

/// A process.
pub(super) struct World {
    pub(super) now: f64,
    beings: Vec<Being>,
    goids: u64,
    judge: ProcessJudge,
    groups: Groups,
    seed: u64,
    /// The first time that a site was confirmed, and everything that ever was.
    pub(super) confirmed: Vec<(f64, u64)>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: 0.0,
            beings: Vec::new(),
            goids: 100,
            judge: ProcessJudge::default(),
            groups: Groups::default(),
            seed: 7,
            confirmed: Vec::new(),
        }
    }

    /// From 0 to 1, the same in each run.
    pub(super) fn chance(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time span that is so long on average, as things that happen by chance take.
    pub(super) fn about(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.chance()).ln()
    }

    pub(super) fn go(&mut self, life: Life) {
        self.goids += 1;
        self.beings.push(Being { goid: self.goids, life, born: self.now });
    }

    /// Number of goroutines of a site.
    pub(super) fn live(&self, site: u64) -> usize {
        self.beings.iter().filter(|being| being.life.site == site).count()
    }

    /// Lets the time until `end` pass; `step` is called each tenth of a second.
    pub(super) fn run(&mut self, end: f64, mut step: impl FnMut(&mut Self)) {
        let mut next_look = (self.now / LOOK).floor() * LOOK + LOOK;
        while self.now < end {
            self.now += 0.1;
            let now = self.now;
            self.beings.retain(|being| being.born + being.life.lives > now);
            step(self);
            if self.now >= next_look {
                self.look();
                next_look += LOOK;
            }
        }
    }

    fn look(&mut self) {
        self.groups.clear();
        let mut look = self.judge.look(Duration::from_secs_f64(self.now)).unwrap();
        for being in &self.beings {
            let reason = WORDS.iter().position(|word| *word == being.life.waits).unwrap();
            let runs = ((self.now - being.born) / being.life.runs_every) as u64;
            let goroutine = Goroutine {
                record: ProcessAddress(0),
                goid: being.goid,
                parent_goid: None,
                state: State::Waiting,
                wait_reason: u8::try_from(reason).unwrap(),
                wait_since: 0,
                created_at: ProcessAddress(being.life.site),
                start: ProcessAddress(1),
                stack_bytes: 2048,
                tracking_seq: (runs % 256) as u8,
                pc: ProcessAddress(1),
                sp: ProcessAddress(1),
                system: false,
            };
            let group = self.groups.place(&goroutine).unwrap();
            look.add(group, &goroutine);
        }
        self.judge
            .take(look, self.groups.groups(), |reason| WORDS.get(usize::from(reason)).copied());
        for leak in self.judge.leaks() {
            let site = leak.site.0.0;
            let known = self.confirmed.iter().any(|(_, known)| *known == site);
            if leak.verdict == Verdict::Confirmed && !known {
                self.confirmed.push((self.now, site));
            }
        }
    }

    pub(super) fn leaks(&self) -> Vec<Judged> {
        self.judge.leaks()
    }
}
