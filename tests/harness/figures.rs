//! What the agent serves of a process's runtime, in the words of Go's own goroutine dump.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::prometheus::Scrape;

/// Numbers by name.
pub type Tally = BTreeMap<String, u64>;

/// Goroutines of a process, by what the agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Goroutines alive.
    pub goroutines: u64,
    /// Ever created.
    pub created: u64,
    /// Ended.
    pub exited: u64,
    /// The runtime's own goroutines.
    pub system: u64,
    /// By state; those that wait, by what they wait for.
    pub states: Tally,
    /// By `function file.go:line` of the `go` statement; without the runtime's own, and without
    /// those that none started.
    pub sites: Tally,
    /// Garbage collections.
    pub gc_cycles: u64,
}

impl Figures {
    /// Of a process, from a scrape.
    ///
    /// # Errors
    /// What is missing, or contradicts itself.
    pub fn of(scrape: &Scrape, pid: u32) -> Result<Self> {
        let pid = pid.to_string();
        let labels = [("pid", pid.as_str())];
        let sum = |name: &str, label: &str| -> Tally {
            let mut tally = Tally::new();
            for sample in scrape.series(name, &labels) {
                *tally.entry(sample.label(label).to_owned()).or_default() +=
                    sample.count().unwrap_or(0);
            }
            tally
        };
        let mut states = sum("goroscope_goroutines_by_state", "state");
        let reasons = sum("goroscope_goroutines_waiting", "reason");
        let waiting = states.remove("waiting").unwrap_or(0);
        let explained: u64 = reasons.values().sum();
        ensure!(waiting == explained, "{waiting} wait, for {reasons:?}");
        states.extend(reasons);
        states.retain(|_, count| *count > 0);
        let mut sites = Tally::new();
        for sample in scrape.series("goroscope_site_goroutines", &labels) {
            let creator = sample.label("created_by");
            let count = sample.count().unwrap_or(0);
            if count > 0 && !creator.is_empty() && !creator.starts_with("runtime.") {
                let site = format!("{creator} {}", sample.label("location"));
                *sites.entry(site).or_default() += count;
            }
        }
        Ok(Self {
            goroutines: scrape.count("goroscope_goroutines", &labels)?,
            created: scrape.count("goroscope_goroutines_created_total", &labels)?,
            exited: scrape.count("goroscope_goroutines_exited_total", &labels)?,
            system: scrape.count("goroscope_system_goroutines", &labels)?,
            states,
            sites,
            gc_cycles: scrape.count("goroscope_gc_cycles_total", &labels)?,
        })
    }

    /// Number of goroutines over all states.
    #[must_use]
    pub fn in_states(&self) -> u64 {
        self.states.values().sum()
    }
}

/// Where two tallies differ: name, first, second.
#[must_use]
pub fn differences(one: &Tally, other: &Tally) -> Vec<(String, u64, u64)> {
    let count = |tally: &Tally, name: &String| tally.get(name).copied().unwrap_or(0);
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| (name.clone(), count(one, name), count(other, name)))
        .filter(|(_, one, other)| one != other)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::parse;

    const SCRAPE: &str = "# TYPE goroscope_goroutines gauge\n\
        goroscope_goroutines{pid=\"7\"} 3\n\
        # TYPE goroscope_goroutines_created_total counter\n\
        goroscope_goroutines_created_total{pid=\"7\"} 9\n\
        # TYPE goroscope_goroutines_exited_total counter\n\
        goroscope_goroutines_exited_total{pid=\"7\"} 6\n\
        # TYPE goroscope_system_goroutines gauge\n\
        goroscope_system_goroutines{pid=\"7\"} 4\n\
        # TYPE goroscope_goroutines_by_state gauge\n\
        goroscope_goroutines_by_state{pid=\"7\",state=\"running\"} 0\n\
        goroscope_goroutines_by_state{pid=\"7\",state=\"syscall\"} 1\n\
        goroscope_goroutines_by_state{pid=\"7\",state=\"waiting\"} 2\n\
        # TYPE goroscope_goroutines_waiting gauge\n\
        goroscope_goroutines_waiting{pid=\"7\",reason=\"select\"} 2\n\
        # TYPE goroscope_site_goroutines gauge\n\
        goroscope_site_goroutines{pid=\"7\",created_by=\"main.a\",location=\"a.go:1\",start=\"x\"} 1\n\
        goroscope_site_goroutines{pid=\"7\",created_by=\"main.a\",location=\"a.go:1\",start=\"y\"} 1\n\
        goroscope_site_goroutines{pid=\"7\",created_by=\"runtime.a\",location=\"a.go:1\",start=\"z\"} 4\n\
        # TYPE goroscope_gc_cycles_total counter\n\
        goroscope_gc_cycles_total{pid=\"7\"} 2\n";

    #[test]
    fn states_and_sites_are_those_of_a_dump() {
        let figures = Figures::of(&parse(SCRAPE).unwrap(), 7).unwrap();
        let tally = |pairs: &[(&str, u64)]| -> Tally {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        assert_eq!(figures.states, tally(&[("syscall", 1), ("select", 2)]));
        assert_eq!(figures.sites, tally(&[("main.a a.go:1", 2)]));
        assert_eq!((figures.goroutines, figures.in_states(), figures.gc_cycles), (3, 3, 2));
    }

    #[test]
    fn what_waits_for_nothing_known_is_an_error() {
        let text = SCRAPE.replace("reason=\"select\"} 2", "reason=\"select\"} 1");
        assert!(Figures::of(&parse(&text).unwrap(), 7).is_err());
    }

    #[test]
    fn differences_are_named() {
        let one = Tally::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let other = Tally::from([("b".to_owned(), 2), ("c".to_owned(), 3)]);
        let expected = [("a".to_owned(), 1, 0), ("c".to_owned(), 0, 3)];
        assert_eq!(differences(&one, &other), expected);
    }
}
