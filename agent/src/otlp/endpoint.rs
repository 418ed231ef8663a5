//! Where a collector is.

use std::{fmt, str::FromStr};

use hyper::http::Uri;

use crate::push::address;

/// Behind the address of a collector:
/// <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>.
const METRICS: &str = "/v1/metrics";
/// Where collectors listen for OTLP over gRPC, by the same.
const GRPC_PORT: u16 = 4317;

/// Address of a collector: `http://HOST:PORT`, with a path where it is below one. As the exporters
/// of OpenTelemetry do, `/v1/metrics` is put behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    metrics: Uri,
}

impl Endpoint {
    /// Where measurements are taken.
    pub(super) fn metrics(&self) -> &Uri {
        &self.metrics
    }

    /// Does it ask for TLS?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        address::is_tls(&self.metrics)
    }

    /// Does something listen there that speaks gRPC, as a rule?
    pub(super) fn is_for_grpc(&self) -> bool {
        self.metrics.port_u16() == Some(GRPC_PORT)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = address::parse(text, "with --otlp-headers-file")?;
        let path = uri.path().trim_end_matches('/');
        // Who gives all of it means the same.
        let base = path.strip_suffix(METRICS).unwrap_or(path).to_owned();
        let metrics = address::at_path(uri, &format!("{base}{METRICS}"))?;
        Ok(Self { text: text.trim_end_matches('/').to_owned(), metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, metrics) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/metrics"),
            ("https://otlp.example.org/otlp", "https://otlp.example.org/otlp/v1/metrics"),
            ("http://[::1]:4318/v1/metrics", "http://[::1]:4318/v1/metrics"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.metrics().to_string(), metrics);
            assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
            assert_eq!(endpoint.is_tls(), text.starts_with("https"));
            assert!(!endpoint.is_for_grpc());
        }
        assert!("http://a:4317".parse::<Endpoint>().unwrap().is_for_grpc());
    }

    #[test]
    fn what_is_no_endpoint() {
        for (text, why) in [
            ("", "no URL"),
            ("127.0.0.1:4318", "neither http"),
            ("grpc://host:4317", "neither http"),
            ("http://:4318", "no host"),
            ("http://host:port", "port"),
            ("http://name:word@host", "--otlp-headers-file"),
            ("http://host?a=b", "query"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
