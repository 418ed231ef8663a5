//! Serving itself: whether the web configuration is in force, and who was refused.

use super::family::{Family, Kind, Sample, Unit};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_web_config_last_reload_successful",
        help: "Whether the web configuration is in force as it is written; with 0 the one before is",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| {
            let serving = scrape.snapshot.serving.iter();
            let known = serving.filter_map(|serving| serving.web_config_is_in_force);
            known.map(|good| Sample::count(Vec::new(), good.into())).collect()
        },
    },
    Family {
        name: "goroscope_web_certificate_expiry",
        help: "When the certificate of the agent's own server ends, since the Unix epoch",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| {
            let serving = scrape.snapshot.serving.iter();
            let ends = serving.filter_map(|serving| serving.certificate_ends);
            ends.map(|ends| {
                #[expect(clippy::cast_precision_loss, reason = "2^53 seconds are a long time")]
                Sample::real(Vec::new(), ends as f64)
            })
            .collect()
        },
    },
    Family {
        name: "goroscope_http_refused",
        help: "Connections and requests that were refused, by reason",
        unit: None,
        kind: Kind::Counter,
        samples: |scrape| {
            let serving = scrape.snapshot.serving.iter();
            let refused = serving.flat_map(|serving| &serving.refused);
            refused
                .map(|&(reason, count)| Sample::count(vec![("reason", reason.into())], count))
                .collect()
        },
    },
];
