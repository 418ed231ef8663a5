//! What the probes may cost a process, and when they come back after they cost it more.
//!
//! A process has an allowance of time that its probes may take, which grows by the budget. The
//! kernel's side tells when it is spent (a number of hits), at the very hit. Then the probes are
//! taken off. They come back when the time that they cost is paid back, the runtime itself says
//! that goroutines are created at a rate that can be afforded, and a pause is over that is doubled
//! each time they were taken off again soon: so they do not flap.

use std::time::{Duration, Instant};

use super::allowance::Allowance;

/// What was not spent for so long can be spent at once.
const SAVED: Duration = Duration::from_secs(5);
/// The first pause, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Who has kept within the budget for so long begins with the first pause again.
const REFORMED: Duration = Duration::from_secs(300);
/// For so long the rate must have been one that can be afforded.
const CALM: Duration = Duration::from_secs(3);
/// Of the budget, that the probes would take if they came back.
const AFFORDABLE: f64 = 0.5;
/// Births are about as many as deaths, and each is a hit.
const HITS_PER_GOROUTINE: f64 = 2.0;

/// What the probes of one process may cost it, and did.
#[derive(Debug)]
pub(super) struct Spending {
    allowance: Allowance,
    /// Hits that have been deducted.
    hits: u64,
    /// How long the next pause is at least.
    pause: Duration,
    /// Since when the probes are attached, or off.
    since: Instant,
    paused: Option<Rate>,
    gaps: u64,
    /// Of gaps that are over.
    gap: Duration,
}

/// How fast a process creates goroutines while its probes are off.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    calm_since: Option<Instant>,
}

impl Spending {
    /// Of a process whose probes have just been attached: they may take `share` of a core. It ran
    /// into them `hits` times before.
    pub(super) fn new(share: f64, hits: u64, now: Instant) -> Self {
        Self {
            allowance: Allowance::new(share, SAVED, now),
            hits,
            pause: FIRST_PAUSE,
            since: now,
            paused: None,
            gaps: 0,
            gap: Duration::ZERO,
        }
    }

    /// Number of hits so far at which the allowance is spent, if it goes on like that; `None`
    /// where it is spent already. `cost` is that of a hit, in seconds.
    pub(super) fn spent_at(&mut self, hits: u64, cost: f64, now: Instant) -> Option<u64> {
        let more = hits.saturating_sub(self.hits);
        self.hits = hits;
        // Deducted first: it was spent while the allowance grew.
        self.allowance.use_up(more as f64 * cost);
        let left = self.allowance.left(now) / cost;
        // Too few to be worth a message would have the kernel's side tell again and again.
        const LEAST: f64 = 100.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        (left >= LEAST).then(|| hits.saturating_add(left as u64))
    }

    /// They may take another share of a core from now on.
    pub(super) fn reshare(&mut self, share: f64, now: Instant) {
        self.allowance.reshare(share, now);
    }

    /// The probes are taken off.
    pub(super) fn pause(&mut self, now: Instant) {
        let attached = now.saturating_duration_since(self.since);
        if attached >= REFORMED {
            self.pause = FIRST_PAUSE;
        } else if self.gaps > 0 {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.since = now;
        self.gaps += 1;
        self.paused = Some(Rate::default());
    }

    /// The probes are attached again; the process ran into them `hits` times before.
    pub(super) fn resume(&mut self, hits: u64, now: Instant) {
        self.gap += now.saturating_duration_since(self.since);
        self.since = now;
        self.hits = hits;
        self.paused = None;
    }

    /// Are they off?
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// May they come back? `created` is how many goroutines the process has created, by its runtime;
    /// `None` where that is not known.
    pub(super) fn may_resume(&mut self, created: Option<u64>, cost: f64, now: Instant) -> bool {
        let paid_back = self.allowance.left(now) >= self.allowance.most() * AFFORDABLE;
        let share = self.allowance.share();
        let Some(rate) = &mut self.paused else { return false };
        let is_calm = created.is_none_or(|created| {
            rate.look(created, share * AFFORDABLE / cost / HITS_PER_GOROUTINE, now)
        });
        share > 0.0
            && paid_back
            && is_calm
            && now.saturating_duration_since(self.since) >= self.pause
    }

    /// How often the probes were taken off.
    pub(super) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// How long they were off, the present gap included.
    pub(super) fn gap(&self, now: Instant) -> Duration {
        match self.paused {
            Some(_) => self.gap + now.saturating_duration_since(self.since),
            None => self.gap,
        }
    }
}

impl Rate {
    /// Has the rate been at most so many a second for long enough?
    fn look(&mut self, created: u64, most: f64, now: Instant) -> bool {
        let last = self.last.replace((now, created));
        let Some((before, had)) = last else { return false };
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        if created.saturating_sub(had) as f64 > most * seconds {
            self.calm_since = None;
            return false;
        }
        let since = *self.calm_since.get_or_insert(before);
        now.saturating_duration_since(since) >= CALM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: f64 = 1e-6;
    const SHARE: f64 = 0.01;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Runs a process that makes `hits(second)` hits in each second of `0..end`, as the engine
    /// does; returns in which seconds the probes were attached at the end.
    fn run(end: u64, hits: impl Fn(u64) -> u64) -> (Vec<bool>, Spending, u64) {
        let start = Instant::now();
        let mut spending = Spending::new(SHARE, 0, start);
        let (mut counted, mut happened) = (0, 0);
        let mut most = spending.spent_at(0, COST, start).unwrap();
        let mut attached = Vec::new();
        for second in 0..end {
            let now = start + seconds(second + 1);
            happened += hits(second);
            if spending.is_paused() {
                if spending.may_resume(Some(happened / 2), COST, now) {
                    spending.resume(counted, now);
                    most = spending.spent_at(counted, COST, now).unwrap();
                }
            } else {
                let mut left = hits(second);
                while left > 0 {
                    let until = most.saturating_sub(counted).min(left);
                    counted += until;
                    left -= until;
                    if counted < most {
                        break;
                    }
                    match spending.spent_at(counted, COST, now) {
                        Some(more) => most = more,
                        None => {
                            spending.pause(now);
                            break;
                        }
                    }
                }
            }
            attached.push(!spending.is_paused());
        }
        (attached, spending, counted)
    }

    #[test]
    fn within_the_budget_they_stay() {
        let (attached, spending, counted) = run(600, |_| 9_000);
        assert!(attached.iter().all(|attached| *attached));
        assert_eq!((spending.gaps(), counted), (0, 600 * 9_000));
    }

    #[test]
    fn a_storm_costs_no_more_than_what_was_saved() {
        let (attached, spending, counted) = run(600, |_| 1_000_000);
        // 5 s of 1 % at 1 µs a hit, and what was earned in the first second.
        assert_eq!(counted, 60_000);
        assert_eq!((spending.gaps(), attached.iter().filter(|on| **on).count()), (1, 0));
    }

    #[test]
    fn they_come_back_when_the_storm_is_over() {
        let (attached, spending, _) = run(60, |second| if second < 20 { 1_000_000 } else { 100 });
        assert!(attached[..20].iter().all(|attached| !attached));
        assert!(attached[30..].iter().all(|attached| *attached));
        assert_eq!(spending.gaps(), 1);
        assert_eq!(spending.gap(Instant::now() + seconds(1000)), spending.gap);
    }

    #[test]
    fn they_do_not_flap() {
        // Ten seconds of calm after each ten seconds of storm.
        let hits = |second: u64| if (second / 10).is_multiple_of(2) { 1_000_000 } else { 100 };
        let (attached, spending, counted) = run(3600, hits);
        assert!(spending.gaps() <= 12, "{} gaps in an hour", spending.gaps());
        assert!(attached.iter().any(|attached| *attached));
        assert!(counted as f64 * COST <= SHARE * 3600.0, "{counted} hits");
    }

    #[test]
    fn without_the_runtime_the_pause_decides() {
        let start = Instant::now();
        let mut spending = Spending::new(SHARE, 0, start);
        assert_eq!(spending.spent_at(60_000, COST, start), None);
        spending.pause(start);
        assert!(!spending.may_resume(None, COST, start + seconds(3)));
        assert!(spending.may_resume(None, COST, start + seconds(6)));
    }

    #[test]
    fn a_budget_of_nothing_brings_them_back_never() {
        let start = Instant::now();
        let mut spending = Spending::new(0.0, 0, start);
        assert_eq!(spending.spent_at(0, COST, start), None);
        spending.pause(start);
        assert!(!spending.may_resume(Some(0), COST, start + seconds(100_000)));
    }
}
