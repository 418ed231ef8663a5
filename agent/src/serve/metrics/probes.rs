//! The probes: where they sit, how often they are hit, what that costs, what is lost.

use super::{
    family::{Family, Kind, Sample, Unit},
    scrape::Scrape,
};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_probes_attached",
        help: "Uprobes attached for the process; processes of one binary share them",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| Some(process.probes_attached)),
    },
    Family {
        name: "goroscope_probe_hits",
        help: "Times the process ran into a uprobe",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.probe_hits)),
    },
    Family {
        name: "goroscope_probe_cost",
        help: "CPU time that the uprobes cost the process, estimated: hits times what one hit \
               costs on this host",
        unit: Some(Unit::Seconds),
        kind: Kind::Counter,
        samples: cost,
    },
    Family {
        name: "goroscope_events_lost",
        help: "What the kernel's programs had no room for: events of processes, processes, \
               creation sites, threads",
        unit: None,
        kind: Kind::Counter,
        samples: lost,
    },
];

fn cost(scrape: &Scrape<'_>) -> Vec<Sample> {
    let seconds_per_hit = scrape.snapshot.agent.seconds_per_hit;
    scrape.reals(|process| Some(process.probe_hits as f64 * seconds_per_hit?))
}

fn lost(scrape: &Scrape<'_>) -> Vec<Sample> {
    let lost = scrape.snapshot.agent.lost;
    [
        ("events", lost.events),
        ("processes", lost.processes),
        ("sites", lost.sites),
        ("threads", lost.threads),
    ]
    .map(|(source, count)| Sample::count(vec![("source", source.into())], count))
    .into()
}
