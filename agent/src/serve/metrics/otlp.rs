//! Measurements that the agent itself pushes.

use super::{
    family::{Family, Kind, Sample},
    scrape::Scrape,
};
use crate::model::exporting::Exporting;

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_otlp_exports",
        help: "Requests to the collector by what became of them, retries not counted",
        unit: None,
        kind: Kind::Counter,
        samples: exports,
    },
    Family {
        name: "goroscope_otlp_retries",
        help: "Requests sent to the collector once more",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| one(scrape, |exporting| exporting.retries),
    },
    Family {
        name: "goroscope_otlp_points_refused",
        help: "Points that the collector refused, of requests of which it took a part",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| one(scrape, |exporting| exporting.refused_points),
    },
];

fn one(scrape: &Scrape<'_>, value: impl Fn(&Exporting) -> u64) -> Vec<Sample> {
    let exporting = scrape.snapshot.exporting.as_ref();
    exporting.map(|exporting| Sample::count(Vec::new(), value(exporting))).into_iter().collect()
}

fn exports(scrape: &Scrape<'_>) -> Vec<Sample> {
    scrape.snapshot.exporting.iter().flat_map(by_outcome).collect()
}

fn by_outcome(exporting: &Exporting) -> [Sample; 4] {
    let Exporting { delivered, partial, failed, rejected, .. } = exporting;
    [("delivered", delivered), ("partial", partial), ("failed", failed), ("rejected", rejected)]
        .map(|(outcome, count)| Sample::count(vec![("outcome", outcome.into())], *count))
}
