//! Alerts that the agent itself sends.

use super::{
    family::{Family, Kind, Sample},
    label,
    scrape::Scrape,
};
use crate::model::alerting::{Alerting, Deliveries};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_alerts_firing",
        help: "Alerts of the agent's own that are firing",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| one(scrape, |alerting| alerting.firing),
    },
    Family {
        name: "goroscope_notifications",
        help: "Alerts sent to an Alertmanager, resends and retries included",
        unit: None,
        kind: Kind::Counter,
        samples: notifications,
    },
    Family {
        name: "goroscope_notifications_dropped",
        help: "Alerts that an Alertmanager will not learn of",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| one(scrape, |alerting| alerting.dropped),
    },
];

fn one(scrape: &Scrape<'_>, value: impl Fn(&Alerting) -> u64) -> Vec<Sample> {
    let alerting = scrape.snapshot.alerting.as_ref();
    alerting.map(|alerting| Sample::count(Vec::new(), value(alerting))).into_iter().collect()
}

fn notifications(scrape: &Scrape<'_>) -> Vec<Sample> {
    let alertmanagers =
        scrape.snapshot.alerting.iter().flat_map(|alerting| &alerting.alertmanagers);
    alertmanagers.flat_map(of_alertmanager).collect()
}

fn of_alertmanager(deliveries: &Deliveries) -> [Sample; 3] {
    let Deliveries { url, delivered, failed, rejected } = deliveries;
    [("delivered", delivered), ("failed", failed), ("rejected", rejected)].map(
        |(outcome, count)| {
            let labels = vec![("alertmanager", label::bounded(url)), ("outcome", outcome.into())];
            Sample::count(labels, *count)
        },
    )
}
