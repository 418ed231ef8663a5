//! What the families of one scrape have in common: worked out once.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    TOP_SITES,
    family::Sample,
    label::{self, Labels},
};
use crate::model::{
    process::Process,
    site::Site,
    snapshot::Snapshot,
    top::{Top, top},
};

/// A snapshot on its way to the families.
pub(super) struct Scrape<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Its processes, each pid once.
    pub processes: Vec<ProcessScrape<'a>>,
}

/// A process on its way to the families.
pub(super) struct ProcessScrape<'a> {
    /// The process.
    pub process: &'a Process,
    /// The labels that all its series carry.
    pub labels: Labels,
    /// Its sites by their labels `created_by`, `location`, `start`. Sites whose names are the same
    /// once they are shortened are one.
    pub sites: Top<[Arc<str>; 3]>,
}

impl<'a> Scrape<'a> {
    /// Prepares `snapshot`.
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut processes = BTreeMap::new();
        for process in &snapshot.processes {
            // Of two processes with one pid the later is the one that lives; both would be
            // duplicate series, for which a scraper refuses the whole exposition.
            let newest = processes.entry(process.id.pid).or_insert(process);
            if process.id.start > newest.id.start {
                *newest = process;
            }
        }
        let top_sites = snapshot.top_sites.unwrap_or(TOP_SITES);
        let processes = processes.into_values();
        let processes = processes.map(|process| ProcessScrape::of(process, top_sites)).collect();
        Self { snapshot, processes }
    }

    /// One sample for each process of which `value` knows something.
    pub(super) fn counts(&self, value: impl Fn(&Process) -> Option<u64>) -> Vec<Sample> {
        let sample = |process: &ProcessScrape<'_>| {
            Some(Sample::count(process.labels.clone(), value(process.process)?))
        };
        self.processes.iter().filter_map(sample).collect()
    }

    /// The same of a measure.
    pub(super) fn reals(&self, value: impl Fn(&Process) -> Option<f64>) -> Vec<Sample> {
        let sample = |process: &ProcessScrape<'_>| {
            Some(Sample::real(process.labels.clone(), value(process.process)?))
        };
        self.processes.iter().filter_map(sample).collect()
    }
}

impl<'a> ProcessScrape<'a> {
    fn of(process: &'a Process, top_sites: usize) -> Self {
        let labels = label::of_process(process);
        let sites = top(&process.sites, top_sites, site_labels);
        Self { process, labels, sites }
    }

    /// The labels of the process and `more`.
    pub(super) fn labels_and<const N: usize>(&self, more: [(&'static str, Arc<str>); N]) -> Labels {
        let mut labels = self.labels.clone();
        labels.extend(more);
        labels
    }
}

fn site_labels(site: &Site) -> Option<[Arc<str>; 3]> {
    let name = site.name.as_ref()?;
    let values = [name.created_by.as_str(), &name.location(), &name.start];
    Some(values.map(label::bounded))
}
