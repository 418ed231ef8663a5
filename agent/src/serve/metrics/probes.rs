//! The probes: where they sit, how often they are hit, what that costs, what is lost.

use super::{
    family::{Family, Kind, Sample, Unit},
    scrape::{ProcessScrape, Scrape},
};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_probes_attached",
        help: "Uprobes attached for the process; processes of one binary share them",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| {
            scrape.counts(|process| Some(process.probed.map_or(0, |probed| probed.attached)))
        },
    },
    Family {
        name: "goroscope_probe_hits",
        help: "Times the process ran into a uprobe",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.probed?.hits())),
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
        name: "goroscope_probe_gaps",
        help: "Times the uprobes were taken off the process because they cost it more than the \
               budget",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.probed?.gaps)),
    },
    Family {
        name: "goroscope_probe_gap",
        help: "How long they were off for that reason",
        unit: Some(Unit::Seconds),
        kind: Kind::Counter,
        samples: |scrape| scrape.reals(|process| Some(process.probed?.gap_seconds)),
    },
    Family {
        name: "goroscope_count_drift_goroutines",
        help: "What the uprobes counted more than the runtime itself, births and deaths, since \
               they were attached; 0 where both agree",
        unit: None,
        kind: Kind::Gauge,
        samples: drift,
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
    scrape.reals(|process| Some(process.probed?.hits() as f64 * seconds_per_hit?))
}

fn drift(scrape: &Scrape<'_>) -> Vec<Sample> {
    let samples = |process: &ProcessScrape<'_>| {
        let drift = process.process.probed?.drift?;
        let sample = |event: &str, drift: i64| {
            Sample::real(process.labels_and([("event", event.into())]), drift as f64)
        };
        Some([sample("created", drift.created), sample("exited", drift.exited)])
    };
    scrape.processes.iter().filter_map(samples).flatten().collect()
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
