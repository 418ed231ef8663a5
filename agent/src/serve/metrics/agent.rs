//! The agent about itself.

use super::{
    family::{Family, Kind, Sample, Unit, Value},
    scrape::Scrape,
};
use crate::model::{configuration::Configuration, naming::LookupFailures};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "goroscope_build",
        help: "Which goroscope this is",
        unit: None,
        kind: Kind::Info,
        samples: |_| {
            let labels = vec![
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("arch", std::env::consts::ARCH.into()),
            ];
            vec![Sample { labels, value: Value::One }]
        },
    },
    Family {
        name: "goroscope_config_last_reload_successful",
        help: "Whether the configuration was taken when it was read last; 0 leaves the one before in force",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| configured(scrape, |now| Value::Count(now.successful.into())),
    },
    Family {
        name: "goroscope_config_last_reload_success_timestamp",
        help: "When a configuration was taken last, since the Unix epoch",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| configured(scrape, |now| Value::Real(now.taken_at)),
    },
    Family {
        name: "goroscope_origin_lookup_failures",
        help: "Look-ups of names of containers that failed, by where they were looked up",
        unit: None,
        kind: Kind::Counter,
        samples: lookup_failures,
    },
    Family {
        name: "process_cpu",
        help: "CPU time that the agent used, user and system",
        unit: Some(Unit::Seconds),
        kind: Kind::Counter,
        samples: |scrape| vec![Sample::real(Vec::new(), scrape.snapshot.agent.cpu_seconds)],
    },
    Family {
        name: "process_resident_memory",
        help: "Resident memory of the agent",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        samples: |scrape| vec![Sample::count(Vec::new(), scrape.snapshot.agent.resident_bytes)],
    },
    Family {
        name: "process_open_fds",
        help: "Open file descriptors of the agent",
        unit: None,
        kind: Kind::Gauge,
        samples: |scrape| vec![Sample::count(Vec::new(), scrape.snapshot.agent.open_fds)],
    },
    Family {
        name: "process_start_time",
        help: "When the agent started, since the Unix epoch",
        unit: Some(Unit::Seconds),
        kind: Kind::Gauge,
        samples: |scrape| vec![Sample::real(Vec::new(), scrape.snapshot.agent.started_at)],
    },
];

fn configured(scrape: &Scrape<'_>, value: impl Fn(&Configuration) -> Value) -> Vec<Sample> {
    let configuration = scrape.snapshot.configuration.iter();
    configuration.map(|now| Sample { labels: Vec::new(), value: value(now) }).collect()
}

fn lookup_failures(scrape: &Scrape<'_>) -> Vec<Sample> {
    let LookupFailures { cri, kubelet, docker, podman } = scrape.snapshot.agent.lookup_failures;
    [("cri", cri), ("kubelet", kubelet), ("docker", docker), ("podman", podman)]
        .map(|(source, count)| Sample::count(vec![("source", source.into())], count))
        .into()
}
