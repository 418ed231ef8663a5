//! The garbage collector and the heap of a process, as `runtime/metrics` has them.

use super::{
    family::{Family, Kind, Sample, Unit, Value},
    histogram::Histogram,
    scrape::{ProcessScrape, Scrape},
};
use crate::model::{
    process::Process,
    runtime::{Gc, Heap, HeapGoal},
};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_gc_cycles",
        help: "Garbage collections completed since the process started",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(gc(process)?.cycles)),
    },
    Family {
        name: "goroscope_gc_pause",
        help: "How long the collector stopped the process, each time, since it started",
        unit: Some(Unit::Seconds),
        kind: Kind::Histogram,
        samples: pauses,
    },
    Family {
        name: "goroscope_heap_live",
        help: "Heap that the last garbage collection found alive",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| Some(goal(process)?.live_bytes)),
    },
    Family {
        name: "goroscope_heap_goal",
        help: "Size of the heap at the end of the present garbage collection, as it is aimed at",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| Some(goal(process)?.goal_bytes)),
    },
    Family {
        name: "goroscope_heap_objects",
        help: "Objects on the heap, those that live and those not swept yet",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| Some(heap(process)?.objects)),
    },
    Family {
        name: "goroscope_heap_allocated",
        help: "Allocated on the heap since the process started",
        unit: Some(Unit::Bytes),
        kind: Kind::Counter,
        samples: |scrape| scrape.counts(|process| Some(heap(process)?.allocated_bytes)),
    },
    Family {
        name: "goroscope_stack",
        help: "Memory in use for the stacks of goroutines",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        samples: |scrape| scrape.counts(|process| Some(heap(process)?.stack_bytes)),
    },
];

fn gc(process: &Process) -> Option<&Gc> {
    process.runtime.as_ref()?.gc.as_ref()
}

fn goal(process: &Process) -> Option<&HeapGoal> {
    process.runtime.as_ref()?.heap_goal.as_ref()
}

fn heap(process: &Process) -> Option<&Heap> {
    process.runtime.as_ref()?.heap.as_ref()
}

fn pauses(scrape: &Scrape<'_>) -> Vec<Sample> {
    let sample = |process: &ProcessScrape<'_>| {
        let gc = gc(process.process)?;
        let histogram = Histogram::of_runtime(&gc.pauses, Some(gc.pause_total_nanoseconds));
        let value = Value::Histogram(Box::new(histogram));
        Some(Sample { labels: process.labels.clone(), value })
    };
    scrape.processes.iter().filter_map(sample).collect()
}
