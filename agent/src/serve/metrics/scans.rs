//! The agent's looks at all goroutines of a process.

use super::{
    family::{Family, Kind, Sample, Unit},
    goroutines::of_table,
};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_scan_timestamp",
        help: "When the last look at all goroutines began, since the Unix epoch",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| {
            of_table(scrape, |process, table| {
                vec![Sample::real(process.labels.clone(), table.taken_at)]
            })
        },
    },
    Family {
        name: "goroscope_scan_duration",
        help: "CPU time of the agent that the last look at all goroutines took",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| {
            of_table(scrape, |process, table| {
                vec![Sample::real(process.labels.clone(), table.cpu_seconds)]
            })
        },
    },
    Family {
        name: "goroscope_scans",
        help: "Looks at all goroutines that came to their end",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.runtime.as_ref()?.scans.done)),
    },
    Family {
        name: "goroscope_scan_torn",
        help: "Goroutines that were caught half written at a look, and looked at again",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.runtime.as_ref()?.scans.torn)),
    },
    Family {
        name: "goroscope_scan_unreadable",
        help: "Goroutines that could not be read at a look, and are in no figure of it",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.runtime.as_ref()?.scans.unreadable)),
    },
];
