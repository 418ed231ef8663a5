//! Goroutines by creation site: the function with the `go` statement, where that is, and the
//! function started.
//!
//! The number of series is bounded: the sites of a process with most goroutines alive have their
//! own, the rest is summed up with `other` in all three labels. A site that grows into or shrinks
//! out of the largest takes its counts with it, so the counters of `other` are no base for rates
//! while `goroscope_sites_folded` is above zero.

use std::sync::Arc;

use super::{
    family::{Family, Kind, Sample},
    scrape::{ProcessScrape, Scrape},
};
use crate::model::{process::Process, top::Tally};

/// The value of all three labels for the sites without series of their own. It is the location of
/// no site: a location is empty or has a colon.
pub(super) const OTHER: &str = "other";

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_site_goroutines",
        help: "Live goroutines by creation site, at the last look at all goroutines; the largest \
               sites of a process, the rest as other",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| by_site(scrape, is_known, |tally| tally.live),
    },
    Family {
        name: "goroscope_site_goroutines_created",
        help: "Goroutines born by creation site while the probes were attached; \
               the largest sites of a process, the rest as other",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| by_site(scrape, is_probed, |tally| tally.created),
    },
    Family {
        name: "goroscope_site_goroutines_exited",
        help: "Goroutines that ended by creation site while the probes were attached; \
               the largest sites of a process, the rest as other",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| by_site(scrape, is_probed, |tally| tally.exited),
    },
    Family {
        name: "goroscope_sites_folded",
        help: "Creation sites of a process that are summed up as other",
        unit: None,
        kind: Kind::Gauge,
        samples: folded,
    },
    Family {
        name: "goroscope_site_events_lost",
        help: "Births and deaths of goroutines that are counted for the process but for no \
               creation site, because there was no room for the site",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.probed?.site_losses)),
    },
];

/// Is it known how many goroutines its sites have?
fn is_known(process: &Process) -> bool {
    process.probed.is_some() || process.runtime.as_ref().is_some_and(|r| r.table.is_some())
}

/// Were its births and deaths counted by site?
fn is_probed(process: &Process) -> bool {
    process.probed.is_some()
}

fn by_site(
    scrape: &Scrape<'_>,
    is_wanted: fn(&Process) -> bool,
    value: fn(&Tally) -> u64,
) -> Vec<Sample> {
    let of_process = |process: &ProcessScrape<'_>| {
        let other = process.sites.other.map(|tally| ([OTHER; 3].map(Arc::from), tally));
        let sample = |(site, tally): (&[Arc<str>; 3], &Tally)| {
            let [created_by, location, start] = site.clone();
            let labels = process.labels_and([
                ("created_by", created_by),
                ("location", location),
                ("start", start),
            ]);
            Sample::count(labels, value(tally))
        };
        let named = process.sites.named.iter().chain(&other);
        named.map(|(site, tally)| sample((site, tally))).collect::<Vec<_>>()
    };
    let wanted = scrape.processes.iter().filter(|process| is_wanted(process.process));
    wanted.flat_map(of_process).collect()
}

fn folded(scrape: &Scrape<'_>) -> Vec<Sample> {
    let sample = |process: &ProcessScrape<'_>| {
        is_known(process.process).then_some(())?;
        Some(Sample::count(process.labels.clone(), process.sites.folded))
    };
    scrape.processes.iter().filter_map(sample).collect()
}
