//! Which processes are watched, and how well.

use super::{
    family::{Family, Kind, Sample, Unit, Value},
    label,
    scrape::{ProcessScrape, Scrape},
};
use crate::model::{process::by_status, watch::Watch};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_processes",
        help: "Go processes by how well they are watched: all that was asked for works, \
               part of it does, or nothing",
        unit: None,
        kind: Kind::Gauge,
        samples: statuses,
    },
    Family {
        name: "goroscope_process",
        help: "What the binary of the process says of itself",
        unit: None,
        kind: Kind::Info,
        samples: info,
    },
    Family {
        name: "goroscope_watch_failure",
        help: "Why a part of the process is not watched, or not wholly",
        unit: None,
        kind: Kind::Info,
        samples: failures,
    },
    Family {
        name: "goroscope_process_start_time",
        help: "When the process started, since the Unix epoch",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| scrape.reals(|process| Some(process.started_at)),
    },
];

fn statuses(scrape: &Scrape<'_>) -> Vec<Sample> {
    by_status(scrape.processes.iter().map(|process| process.process))
        .into_iter()
        .map(|(status, count)| Sample::count(vec![("status", status.as_str().into())], count))
        .collect()
}

fn info(scrape: &Scrape<'_>) -> Vec<Sample> {
    let sample = |process: &ProcessScrape<'_>| {
        let binary = process.process.binary.as_ref()?;
        let mut labels = process.labels_and([
            ("go_version", label::bounded(&binary.go_version)),
            ("arch", label::bounded(&binary.arch)),
        ]);
        let names = [("module", &binary.module), ("build_id", &binary.build_id)];
        labels.extend(label::known(names));
        Some(Sample { labels, value: Value::One })
    };
    scrape.processes.iter().filter_map(sample).collect()
}

fn failures(scrape: &Scrape<'_>) -> Vec<Sample> {
    let samples = |process: &ProcessScrape<'_>| {
        let watch = &process.process.watch;
        let sample = |(part, watch): (&str, &Watch)| {
            let labels = [("part", part.into()), ("reason", label::bounded(watch.as_str()))];
            let works = matches!(watch, Watch::Ok | Watch::Off);
            (!works).then(|| Sample { labels: process.labels_and(labels), value: Value::One })
        };
        [("runtime", &watch.runtime), ("probes", &watch.probes)].map(sample)
    };
    scrape.processes.iter().flat_map(samples).flatten().collect()
}
