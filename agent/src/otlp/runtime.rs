//! What the Go runtime says of itself, by OpenTelemetry's names for Go.
//!
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/runtime/go-metrics.md>

use super::series::{About, Nanos, Series, attribute};
use crate::model::{
    process::Process,
    runtime::{Heap, HeapGoal, Runtime},
};

const GOROUTINES: About = About {
    name: "go.goroutine.count",
    unit: "{goroutine}",
    description: "Count of live goroutines.",
};
const PROCESSORS: About = About {
    name: "go.processor.limit",
    unit: "{thread}",
    description: "The number of OS threads that can execute user-level Go code simultaneously.",
};
const SCHEDULE: About = About {
    name: "go.schedule.duration",
    unit: "s",
    description: "The time goroutines have spent in the scheduler in a runnable state before \
                  actually running.",
};
const USED: About =
    About { name: "go.memory.used", unit: "By", description: "Memory used by the Go runtime." };
const LIMIT: About = About {
    name: "go.memory.limit",
    unit: "By",
    description: "Go runtime memory limit configured by the user, if a limit exists.",
};
const ALLOCATED: About = About {
    name: "go.memory.allocated",
    unit: "By",
    description: "Memory allocated to the heap by the application.",
};
const ALLOCATIONS: About = About {
    name: "go.memory.allocations",
    unit: "{allocation}",
    description: "Count of allocations to the heap by the application.",
};
const GOAL: About = About {
    name: "go.memory.gc.goal",
    unit: "By",
    description: "Heap size target for the end of the GC cycle.",
};
const CYCLES: About = About {
    name: "go.memory.gc.cycles",
    unit: "{gc_cycle}",
    description: "Number of completed GC cycles.",
};
const PAUSES: About = About {
    name: "go.memory.gc.pause.duration",
    unit: "s",
    description: "How long the collector stopped the process, each time.",
};
const PERCENT: About = About {
    name: "go.config.gogc",
    unit: "%",
    description: "Heap size target percentage configured by the user, otherwise 100.",
};
const LIVE: About = About {
    name: "goroscope.heap.live",
    unit: "By",
    description: "Heap that the last garbage collection found alive.",
};
const OBJECTS: About = About {
    name: "goroscope.heap.objects",
    unit: "{object}",
    description: "Objects on the heap, those that live and those not swept yet.",
};

/// Of a process whose runtime is read; of another, nothing. All of it counts since it started.
pub(super) fn of(process: &Process, series: &mut Series) {
    let Some(runtime) = &process.runtime else { return };
    let start = Nanos::of(process.started_at);
    series.amount(GOROUTINES, start, Some(runtime.counts.live));
    series.amount(PROCESSORS, start, Some(runtime.counts.gomaxprocs));
    series.durations(SCHEDULE, start, runtime.sched_delay.as_ref(), None);
    memory(runtime, start, series);
    if let Some(gc) = &runtime.gc {
        series.counter(CYCLES, start, Some(gc.cycles));
        let sum = Some(gc.pause_total_nanoseconds);
        series.durations(PAUSES, start, Some(&gc.pauses), sum);
    }
}

fn memory(runtime: &Runtime, start: Nanos, series: &mut Series) {
    let (goal, heap) = (runtime.heap_goal, runtime.heap);
    if let (Some(goal), Some(heap)) = (&goal, &heap) {
        let kind = |kind| vec![attribute("go.memory.type", kind)];
        let used = used(goal, heap);
        series.amounts(USED, start, used.map(|(name, bytes)| (kind(name), bytes)));
    }
    series.amount(LIMIT, start, goal.and_then(|goal| goal.memory_limit));
    series.counter(ALLOCATED, start, heap.map(|heap| heap.allocated_bytes));
    series.counter(ALLOCATIONS, start, heap.map(|heap| heap.allocated_objects));
    series.amount(GOAL, start, goal.map(|goal| goal.goal_bytes));
    series.amount(PERCENT, start, goal.and_then(|goal| goal.percent).map(u64::from));
    series.amount(LIVE, start, goal.map(|goal| goal.live_bytes));
    series.amount(OBJECTS, start, heap.map(|heap| heap.objects));
}

/// What there is in all is stacks, and the rest. Both were read one after the other.
fn used(goal: &HeapGoal, heap: &Heap) -> [(&'static str, u64); 2] {
    let other = goal.mapped_bytes.saturating_sub(heap.stack_bytes);
    [("stack", heap.stack_bytes), ("other", other)]
}
