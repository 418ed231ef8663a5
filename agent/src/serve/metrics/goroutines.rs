//! Goroutines of a process.

use super::family::{Family, Kind};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_goroutines",
        help: "Live user goroutines, by the runtime's own records",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| process.goroutines),
    },
    Family {
        name: "goroscope_goroutines_created",
        help: "Goroutines born since the probes were attached",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.counts?.created)),
    },
    Family {
        name: "goroscope_goroutines_exited",
        help: "Goroutines that ended since the probes were attached",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.counts?.exited)),
    },
];
