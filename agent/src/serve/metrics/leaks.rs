//! Creation sites that are judged to leak.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    family::{Family, Kind, Sample},
    label,
    scrape::{ProcessScrape, Scrape},
};

pub(super) const FAMILIES: &[Family] = &[Family {
    name: "goroscope_leak_goroutines",
    help: "Goroutines held by a creation site that is judged to leak",
    unit: None,
    kind: Kind::Gauge,
    samples: leaks,
}];

fn leaks(scrape: &Scrape<'_>) -> Vec<Sample> {
    scrape.processes.iter().flat_map(of_process).collect()
}

fn of_process(process: &ProcessScrape<'_>) -> Vec<Sample> {
    // Sites whose names are the same once they are shortened are one.
    let mut by_labels: BTreeMap<[Arc<str>; 5], u64> = BTreeMap::new();
    for leak in &process.process.leaks {
        let labels = [
            leak.site.created_by.as_str(),
            &leak.site.location(),
            &leak.site.start,
            &leak.wait_reason,
            leak.verdict.as_str(),
        ];
        *by_labels.entry(labels.map(label::bounded)).or_default() += leak.goroutines;
    }
    let sample = |(labels, goroutines): ([Arc<str>; 5], u64)| {
        let [created_by, location, start, wait_reason, verdict] = labels;
        let labels = process.labels_and([
            ("created_by", created_by),
            ("location", location),
            ("start", start),
            ("wait_reason", wait_reason),
            ("verdict", verdict),
        ]);
        Sample::count(labels, goroutines)
    };
    by_labels.into_iter().map(sample).collect()
}
