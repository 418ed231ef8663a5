//! What the kernel's scheduler does with the threads of a process.

use super::{
    family::{Family, Kind, Sample, Unit, Value},
    histogram::Histogram,
    scrape::{ProcessScrape, Scrape},
};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_thread_sched_delay",
        help: "How long threads of the process waited for a CPU while they could have run, \
               since the agent came",
        unit: Some(Unit::Seconds),
        kind: Kind::Histogram,
        samples: delay,
    },
    Family {
        name: "goroscope_thread_switches",
        help: "Context switches of the threads of the process since the agent came: voluntary \
               where the thread had to wait for something, preempted where it could have run on",
        unit: None,
        kind: Kind::Counter,
        samples: switches,
    },
    Family {
        name: "goroscope_threads",
        help: "OS threads of the process",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| process.threads),
    },
];

fn delay(scrape: &Scrape<'_>) -> Vec<Sample> {
    let sample = |process: &ProcessScrape<'_>| {
        let histogram = Histogram::from(&process.process.sched.as_ref()?.delay);
        let value = Value::Histogram(Box::new(histogram));
        Some(Sample { labels: process.labels.clone(), value })
    };
    scrape.processes.iter().filter_map(sample).collect()
}

fn switches(scrape: &Scrape<'_>) -> Vec<Sample> {
    let samples = |process: &ProcessScrape<'_>| {
        let switches = process.process.sched.as_ref()?.switches;
        let sample =
            |kind: &str, count| Sample::count(process.labels_and([("kind", kind.into())]), count);
        Some([sample("voluntary", switches.voluntary), sample("preempted", switches.preempted)])
    };
    scrape.processes.iter().filter_map(samples).flatten().collect()
}
