//! The exposition formats.

use std::fmt;

use prometheus_client::{
    encoding::{prometheus_protobuf, text as openmetrics},
    registry::Registry,
};

use super::{collector::Samples, text};
use crate::model::snapshot::Snapshot;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Length-delimited protobuf messages; the only one with native histograms.
    Protobuf,
}

impl Format {
    /// All, the one for those who do not care first.
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

/// The metrics of a snapshot, ready to be written.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// Takes the metrics of `snapshot`.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Samples::of(snapshot)));
        Self(registry)
    }

    /// Writes them in `format`.
    ///
    /// # Errors
    ///
    /// Where a family's samples are not of its kind, which is a bug.
    pub fn write(&self, format: Format) -> Result<Vec<u8>, fmt::Error> {
        let mut out = String::new();
        match format {
            Format::Text => text::write(&mut out, &prometheus_protobuf::encode(&self.0)?)?,
            Format::OpenMetrics => openmetrics::encode(&mut out, &self.0)?,
            Format::Protobuf => {
                return prometheus_protobuf::encode_to_vec(&self.0).map_err(|_| fmt::Error);
            }
        }
        Ok(out.into_bytes())
    }
}
