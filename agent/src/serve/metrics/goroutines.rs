//! Goroutines of a process, by the Go runtime's own records.

use super::{
    family::{Family, Kind, Sample, Unit, Value},
    histogram::Histogram,
    label,
    scrape::{ProcessScrape, Scrape},
};
use crate::model::runtime::GoroutineTable;

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_goroutines",
        help: "Live user goroutines, as runtime.NumGoroutine counts them",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| process.goroutines()),
    },
    Family {
        name: "goroscope_goroutines_created",
        help: "Goroutines created since the process started, those of the runtime included",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| process.created()),
    },
    Family {
        name: "goroscope_goroutines_exited",
        help: "Goroutines that ended since the process started, those of the runtime included",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(process.runtime.as_ref()?.counts.exited)),
    },
    Family {
        name: "goroscope_goroutines_by_state",
        help: "User goroutines by scheduler state, at the last look at all goroutines",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| of_table(scrape, by_state),
    },
    Family {
        name: "goroscope_goroutines_waiting",
        help: "Waiting user goroutines by the wait reason of the runtime, at the last look at \
               all goroutines",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| of_table(scrape, by_reason),
    },
    Family {
        name: "goroscope_system_goroutines",
        help: "Goroutines of the runtime itself, at the last look at all goroutines",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| {
            of_table(scrape, |process, table| {
                vec![Sample::count(process.labels.clone(), table.system)]
            })
        },
    },
    Family {
        name: "goroscope_goroutine_sched_delay",
        help: "How long goroutines were runnable before they ran, since the process started; the \
               runtime notes one in eight. The sum is estimated from the buckets",
        unit: Some(Unit::Seconds),
        kind: Kind::Histogram,
        samples: sched_delay,
    },
    Family {
        name: "goroscope_gomaxprocs",
        help: "Threads that run Go code at the same time at most: GOMAXPROCS",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| {
            scrape.counts(|process| Some(process.runtime.as_ref()?.counts.gomaxprocs))
        },
    },
];

/// Samples of the processes whose goroutines were looked at.
pub(super) fn of_table(
    scrape: &Scrape<'_>,
    samples: impl Fn(&ProcessScrape<'_>, &GoroutineTable) -> Vec<Sample>,
) -> Vec<Sample> {
    let of_process = |process: &ProcessScrape<'_>| {
        let table = process.process.runtime.as_ref()?.table.as_ref()?;
        Some(samples(process, table))
    };
    scrape.processes.iter().filter_map(of_process).flatten().collect()
}

fn by_state(process: &ProcessScrape<'_>, table: &GoroutineTable) -> Vec<Sample> {
    let sample = |&(state, count): &(crate::model::runtime::State, u64)| {
        Sample::count(process.labels_and([("state", state.as_str().into())]), count)
    };
    table.by_state.iter().map(sample).collect()
}

fn by_reason(process: &ProcessScrape<'_>, table: &GoroutineTable) -> Vec<Sample> {
    // The words are the target's: two may be alike once they are made harmless.
    let mut by_label = std::collections::BTreeMap::new();
    for (reason, count) in &table.by_reason {
        *by_label.entry(label::bounded(reason)).or_insert(0_u64) += count;
    }
    let sample = |(reason, count)| Sample::count(process.labels_and([("reason", reason)]), count);
    by_label.into_iter().map(sample).collect()
}

fn sched_delay(scrape: &Scrape<'_>) -> Vec<Sample> {
    let sample = |process: &ProcessScrape<'_>| {
        let delay = process.process.runtime.as_ref()?.sched_delay.as_ref()?;
        let value = Value::Histogram(Box::new(Histogram::of_runtime(delay, None)));
        Some(Sample { labels: process.labels.clone(), value })
    };
    scrape.processes.iter().filter_map(sample).collect()
}
