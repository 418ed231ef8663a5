//! What the kernel knows of a process's threads, and what the probes on it cost.

use super::series::{About, Nanos, Series, attribute};
use crate::model::process::Process;

/// <https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/system/process-metrics.md>
const THREADS: About =
    About { name: "process.thread.count", unit: "{thread}", description: "Process threads count." };
const SWITCHES: About = About {
    name: "process.context_switches",
    unit: "{context_switch}",
    description: "Number of times the process has been context switched.",
};
const DELAY: About = About {
    name: "goroscope.thread.schedule.duration",
    unit: "s",
    description: "How long threads of the process waited for a CPU while they could have run, \
                  since the agent came.",
};
const ATTACHED: About = About {
    name: "goroscope.probes.attached",
    unit: "{probe}",
    description: "Uprobes attached for the process.",
};
const COST: About = About {
    name: "goroscope.probe.cost",
    unit: "s",
    description: "CPU time that the uprobes cost the process, estimated.",
};
const DRIFT: About = About {
    name: "goroscope.count.drift",
    unit: "{goroutine}",
    description: "What the probes counted more than the runtime itself.",
};

/// Of a process; a hit of a probe takes so many seconds.
pub(super) fn of(process: &Process, seconds_per_hit: Option<f64>, series: &mut Series) {
    let (start, watched) = (Nanos::of(process.started_at), Nanos::of(process.watched_at));
    series.amount(THREADS, start, process.threads);
    let sched = process.sched.as_ref();
    series.delays(DELAY, watched, sched.map(|sched| &sched.delay));
    if let Some(switches) = sched.map(|sched| sched.switches) {
        let kind = |kind| vec![attribute("process.context_switch.type", kind)];
        let switches =
            [(kind("voluntary"), switches.voluntary), (kind("involuntary"), switches.preempted)];
        series.counters(SWITCHES, watched, switches);
    }
    let Some(probed) = &process.probed else { return };
    series.gauges(ATTACHED, [(Vec::new(), i64::try_from(probed.attached).unwrap_or(i64::MAX))]);
    #[expect(clippy::cast_precision_loss, reason = "2^53 hits are more than a process lives")]
    let cost = seconds_per_hit.map(|seconds| seconds * probed.hits() as f64);
    series.measure(COST, watched, cost);
    if let Some(drift) = probed.drift {
        let event = |event| vec![attribute("goroscope.event", event)];
        let drifts = [(event("created"), drift.created), (event("exited"), drift.exited)];
        series.gauges(DRIFT, drifts);
    }
}
