//! What is pushed where, and how often.

use std::{path::PathBuf, time::Duration};

use super::{endpoint::Endpoint, headers::Header};
use crate::push::settings::Tls;

/// What is pushed where, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// The collector.
    pub endpoint: Endpoint,
    /// Time from one push to the next.
    pub interval: Duration,
    /// Headers of each request.
    pub headers: Vec<Header>,
    /// File with more of them; it is read each time, because secrets change.
    pub headers_file: Option<PathBuf>,
    /// How the collector is known, and how the agent is.
    pub tls: Tls,
}
