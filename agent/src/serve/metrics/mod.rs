//! The metrics: each file says which families it makes of a snapshot and how.
//!
//! To add a family, add it to the file of its subject, or add a file with a list `FAMILIES` and
//! name that in `ALL`; then add its row to `docs/metrics.md`. Formats, labels and bounds are
//! taken care of elsewhere.

// What a family is made of.
mod family;
mod histogram;
mod label;
mod scrape;

// The families.
mod agent;
mod goroutines;
mod leaks;
mod memory;
mod notify;
mod otlp;
mod probes;
mod processes;
mod scans;
mod sched;
mod serving;
mod sites;

// How they are written.
mod collector;
mod format;
mod text;

#[cfg(test)]
mod parse;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

use family::Family;
pub use format::{Exposition, Format};

/// Creation sites of a process that have series of their own; the rest is summed up as `other`.
const TOP_SITES: usize = 50;

/// All families, in the order of the exposition.
const ALL: [&[Family]; 12] = [
    goroutines::FAMILIES,
    sites::FAMILIES,
    leaks::FAMILIES,
    sched::FAMILIES,
    memory::FAMILIES,
    processes::FAMILIES,
    probes::FAMILIES,
    scans::FAMILIES,
    notify::FAMILIES,
    otlp::FAMILIES,
    serving::FAMILIES,
    agent::FAMILIES,
];
