//! The options of the push to a collector of OpenTelemetry.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, parser::ValueSource};

use super::{
    args::split,
    config::Config,
    failure::Failure,
    value::{Interval, Text},
};
use crate::{
    otlp::{Header, endpoint::Endpoint, settings::OtlpSettings},
    push::settings::Tls,
};

/// As the exporters of OpenTelemetry have it.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "OpenTelemetry")]
pub(super) struct OtlpArgs {
    /// Collector that measurements are pushed to, by OTLP over HTTP: http://HOST:4318 or
    /// https://HOST:PORT/PATH; /v1/metrics is put behind it [default: none]
    #[arg(long, value_name = "URL", env = "GOROSCOPE_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<Endpoint>,
    /// Time from one push to the next [default: 60s]
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_OTLP_INTERVAL", hide_env_values = true)]
    otlp_interval: Option<Interval>,
    /// Header of each request; repeatable. Others see the command line: secrets belong into the
    /// file
    #[arg(long, value_name = "NAME=VALUE", env = "GOROSCOPE_OTLP_HEADER", hide_env_values = true)]
    otlp_header: Vec<Text>,
    /// File with more headers, NAME=VALUE on each line; read at each push
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_OTLP_HEADERS_FILE", hide_env_values = true)]
    otlp_headers_file: Option<PathBuf>,
    /// Certificates of those who may vouch for the collector, PEM [default: the system's]
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_OTLP_CA_FILE", hide_env_values = true)]
    otlp_ca_file: Option<PathBuf>,
    /// Certificate of the agent, PEM, for a collector that wants one
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_OTLP_CERT_FILE", hide_env_values = true)]
    otlp_cert_file: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_OTLP_KEY_FILE", hide_env_values = true)]
    otlp_key_file: Option<PathBuf>,
}

impl OtlpArgs {
    /// An environment variable holds a list.
    pub(super) fn settle_sources(&mut self, matches: &ArgMatches) {
        if matches.value_source("otlp_header") == Some(ValueSource::EnvVariable) {
            self.otlp_header = self.otlp_header.iter().flat_map(|text| split(&text.0)).collect();
        }
    }

    /// What the options and the file come to.
    pub(super) fn settings(&self, config: &Config) -> Result<Option<OtlpSettings>, Failure> {
        let path = |given: &Option<PathBuf>, text: &Option<Text>| {
            given.clone().or_else(|| Some(text.as_ref()?.0.clone().into()))
        };
        let given =
            if self.otlp_header.is_empty() { &config.otlp_header } else { &self.otlp_header };
        let headers_file = path(&self.otlp_headers_file, &config.otlp_headers_file);
        let ca_file = path(&self.otlp_ca_file, &config.otlp_ca_file);
        let cert_file = path(&self.otlp_cert_file, &config.otlp_cert_file);
        let key_file = path(&self.otlp_key_file, &config.otlp_key_file);
        let interval = self.otlp_interval.or(config.otlp_interval);
        let Some(endpoint) = self.otlp_endpoint.clone().or_else(|| config.otlp_endpoint.clone())
        else {
            let files = [&headers_file, &ca_file, &cert_file, &key_file];
            let is_meant = interval.is_some() || !given.is_empty();
            if is_meant || files.into_iter().any(Option::is_some) {
                tracing::warn!(
                    "there are options for OTLP, but no collector: nothing is pushed. Name one \
                     with --otlp-endpoint"
                );
            }
            return Ok(None);
        };
        let own = match (cert_file, key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Failure::usage(
                    "of --otlp-cert-file and --otlp-key-file there is one only",
                )
                .hint("a certificate of the agent needs its key: give both, or none"));
            }
        };
        let tls = Tls { ca_file, own, ..Tls::default() };
        if tls != Tls::default() && !endpoint.is_tls() {
            return Err(Failure::usage(format!(
                "there are certificates for {endpoint}, which is an address with http://"
            ))
            .hint("give it with https://"));
        }
        Ok(Some(OtlpSettings {
            endpoint,
            interval: interval.map_or(DEFAULT_INTERVAL, |interval| interval.0),
            headers: headers(given)?,
            headers_file,
            tls,
        }))
    }
}

/// What does not do is named by its place: it may be a secret.
fn headers(given: &[Text]) -> Result<Vec<Header>, Failure> {
    let header = |(place, text): (usize, &Text)| {
        text.0.parse().map_err(|why| {
            Failure::usage(format!("--otlp-header, number {place}: {why}"))
                .hint("a header is given as --otlp-header 'x-tenant=shop'")
        })
    };
    (1..).zip(given).map(header).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn settings(line: &[&str], config: &Config) -> Result<Option<OtlpSettings>, String> {
        let line = ["goroscope", "agent"].iter().chain(line);
        let Command::Agent(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not agent")
        };
        args.daemon.otlp.settings(config).map_err(|error| error.to_string())
    }

    #[test]
    fn off_unless_there_is_an_endpoint() {
        assert_eq!(settings(&[], &Config::default()), Ok(None));
        assert_eq!(settings(&["--otlp-interval", "5s"], &Config::default()), Ok(None));
    }

    #[test]
    fn defaults() {
        let line = ["--otlp-endpoint", "http://a:4318"];
        let settings = settings(&line, &Config::default()).unwrap().unwrap();
        assert_eq!(settings.interval.as_secs(), 60);
        assert!(settings.headers.is_empty() && settings.headers_file.is_none());
        assert_eq!(settings.tls, Tls::default());
    }

    #[test]
    fn options_win_over_the_file() {
        let text = |text: &str| Some(Text(text.to_owned()));
        let config = Config {
            otlp_endpoint: Some("https://file:1".parse().unwrap()),
            otlp_interval: Some(Interval(Duration::from_secs(5))),
            otlp_header: vec![Text("a=1".to_owned()), Text("b=2".to_owned())],
            otlp_headers_file: text("/headers"),
            otlp_ca_file: text("/ca"),
            otlp_cert_file: text("/cert"),
            otlp_key_file: text("/key"),
            ..Config::default()
        };
        let from_file = settings(&[], &config).unwrap().unwrap();
        assert_eq!(from_file.endpoint.to_string(), "https://file:1");
        assert_eq!((from_file.interval.as_secs(), from_file.headers.len()), (5, 2));
        assert_eq!(from_file.headers_file, Some("/headers".into()));
        assert_eq!(from_file.tls.ca_file, Some("/ca".into()));
        assert_eq!(from_file.tls.own, Some(("/cert".into(), "/key".into())));
        let line = [
            "--otlp-endpoint",
            "https://line",
            "--otlp-header",
            "c=3,4",
            "--otlp-ca-file",
            "/other",
        ];
        let from_line = settings(&line, &config).unwrap().unwrap();
        assert_eq!(from_line.endpoint.to_string(), "https://line");
        assert_eq!(from_line.headers, ["c=3,4".parse().unwrap()]);
        assert_eq!(from_line.tls.ca_file, Some("/other".into()));
    }

    #[test]
    fn what_makes_no_sense() {
        for (line, why) in [
            (&["--otlp-endpoint", "https://a", "--otlp-cert-file", "/c"][..], "one only"),
            (&["--otlp-endpoint", "http://a", "--otlp-ca-file", "/c"], "http://"),
            (&["--otlp-endpoint", "http://a", "--otlp-header", "secret"], "number 1: NAME=VALUE"),
        ] {
            let error = settings(line, &Config::default()).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
}
