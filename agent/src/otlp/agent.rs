//! The agent about itself: whether what is pushed is whole.

use super::series::{About, Nanos, Series, attribute};
use crate::model::{process::by_status, snapshot::Snapshot};

const PROCESSES: About = About {
    name: "goroscope.processes",
    unit: "{process}",
    description: "Go processes by how well they are watched: all that was asked for works, part \
                  of it does, or nothing.",
};
const LOST: About = About {
    name: "goroscope.events.lost",
    unit: "{event}",
    description: "What the kernel side had no room for.",
};

/// Of the agent that took this snapshot.
pub(super) fn of(snapshot: &Snapshot, series: &mut Series) {
    let start = Nanos::of(snapshot.agent.started_at);
    let status = |status| vec![attribute("goroscope.status", status)];
    let statuses = by_status(&snapshot.processes).into_iter();
    series.amounts(PROCESSES, start, statuses.map(|(name, n)| (status(name.as_str()), n)));
    let lost = snapshot.agent.lost;
    let source = |source| vec![attribute("goroscope.source", source)];
    let losses = [
        (source("events"), lost.events),
        (source("processes"), lost.processes),
        (source("sites"), lost.sites),
        (source("threads"), lost.threads),
    ];
    series.counters(LOST, start, losses);
}
