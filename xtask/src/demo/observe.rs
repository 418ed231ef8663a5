//! What the agent says of the program, as numbers to show.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::Result;
use goroscope_tests::{agent::Agent, prometheus::Scrape, sites::Site};

/// Growth is that over this time.
const WINDOW: Duration = Duration::from_secs(5);

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(super) born: u64,
    pub(super) died: u64,
    pub(super) live: u64,
    /// Of `live`, per second.
    pub(super) growth: f64,
    /// With the growth of each.
    pub(super) sites: Vec<(Site, f64)>,
    pub(super) delay: Delay,
    pub(super) voluntary: u64,
    pub(super) preempted: u64,
}

/// How long threads waited for a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Delay {
    pub(super) waits: u64,
    /// In seconds.
    pub(super) mean: f64,
    /// In seconds, an upper bound.
    pub(super) p50: f64,
    /// Likewise.
    pub(super) p99: f64,
}

impl Observation {
    /// Whether births, deaths, named sites and waits were all seen.
    pub(super) fn is_something(&self) -> bool {
        let named = self.sites.iter().any(|(site, _)| site.created_by().starts_with("main."));
        self.born > 0 && self.died > 0 && named && self.delay.waits > 0
    }
}

/// Looks again and again.
pub(super) struct Observer {
    pid: String,
    number: u32,
    history: VecDeque<(Instant, Vec<Site>)>,
}

impl Observer {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid: pid.to_string(), number: pid, history: VecDeque::new() }
    }

    pub(super) fn look(&mut self, agent: &Agent) -> Result<Observation> {
        let scrape = agent.scrape()?;
        let mut sites = agent.sites(self.number)?;
        sites.retain(|site| !site.system);
        let now = Instant::now();
        let pid = [("pid", self.pid.as_str())];
        let switches = |kind| {
            let labels = [("pid", self.pid.as_str()), ("kind", kind)];
            scrape.count("goroscope_thread_switches_total", &labels)
        };
        let old = self.history.front();
        let seconds = old.map_or(0.0, |(at, _)| now.duration_since(*at).as_secs_f64());
        let growth = |live: u64, before: u64| {
            if seconds > 0.0 { (live as f64 - before as f64) / seconds } else { 0.0 }
        };
        let before = |site: &Site| {
            old.and_then(|(_, sites)| sites.iter().find(|other| other.same_place(site)))
                .map_or(0, |other| other.live)
        };
        let live = sites.iter().map(|site| site.live).sum();
        let was = old.map_or(0, |(_, sites)| sites.iter().map(|site| site.live).sum());
        let mut grown: Vec<(Site, f64)> =
            sites.iter().map(|site| (site.clone(), growth(site.live, before(site)))).collect();
        grown.sort_by_key(|(site, _)| std::cmp::Reverse((site.live, site.created)));
        let seen = Observation {
            born: scrape.count("goroscope_goroutines_created_total", &pid)?,
            died: scrape.count("goroscope_goroutines_exited_total", &pid)?,
            live,
            growth: growth(live, was),
            sites: grown,
            delay: delay(&scrape, &self.pid),
            voluntary: switches("voluntary")?,
            preempted: switches("preempted")?,
        };
        self.history.push_back((now, sites));
        while self.history.len() > 1
            && self.history.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
        {
            self.history.pop_front();
        }
        Ok(seen)
    }
}

fn delay(scrape: &Scrape, pid: &str) -> Delay {
    let name = "goroscope_thread_sched_delay_seconds";
    let labels = [("pid", pid)];
    let value = |suffix: &str| scrape.value(&format!("{name}{suffix}"), &labels).unwrap_or(0.0);
    let bucket_name = format!("{name}_bucket");
    let buckets: Vec<(f64, f64)> = scrape
        .series(&bucket_name, &labels)
        .filter_map(|sample| {
            let bound = sample.label("le");
            let bound = if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() };
            Some((bound?, sample.value))
        })
        .collect();
    let count = value("_count");
    let mean = if count > 0.0 { value("_sum") / count } else { 0.0 };
    let waits = scrape.count(&format!("{name}_count"), &labels).unwrap_or(0);
    Delay { waits, mean, p50: quantile(&buckets, 0.5), p99: quantile(&buckets, 0.99) }
}

/// The upper bound of the bucket that the quantile falls into.
fn quantile(buckets: &[(f64, f64)], share: f64) -> f64 {
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    if total == 0.0 {
        return 0.0;
    }
    let found = buckets.iter().find(|(_, count)| *count >= total * share);
    found.map_or(f64::INFINITY, |(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bucket_bounds() {
        let buckets = [(0.1, 50.0), (0.2, 98.0), (f64::INFINITY, 100.0)];
        assert_eq!(quantile(&buckets, 0.5), 0.1);
        assert_eq!(quantile(&buckets, 0.9), 0.2);
        assert_eq!(quantile(&buckets, 0.99), f64::INFINITY);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
