//! Where an Alertmanager is.

use std::{fmt, str::FromStr};

use hyper::http::Uri;

use crate::push::address;

/// Behind the address of an Alertmanager:
/// <https://github.com/prometheus/alertmanager/blob/v0.27.0/api/v2/openapi.yaml>.
const ALERTS: &str = "/api/v2/alerts";

/// Address of an Alertmanager: `http://HOST:PORT`, with a path where it runs below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    alerts: Uri,
}

impl Address {
    /// Where alerts are taken.
    pub(super) fn alerts(&self) -> &Uri {
        &self.alerts
    }

    /// Does it ask for TLS?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        address::is_tls(&self.alerts)
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = address::parse(text, "as basic_auth in the configuration file")?;
        let path = uri.path().trim_end_matches('/').to_owned();
        if path.ends_with(ALERTS) {
            return Err(format!("{ALERTS} is put behind it anyway: leave that out"));
        }
        let alerts = address::at_path(uri, &format!("{path}{ALERTS}"))?;
        Ok(Self { text: text.trim_end_matches('/').to_owned(), alerts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, alerts) in [
            ("http://127.0.0.1:9093", "http://127.0.0.1:9093/api/v2/alerts"),
            ("https://alerts.example.org/", "https://alerts.example.org/api/v2/alerts"),
            ("http://[::1]:9093/am/", "http://[::1]:9093/am/api/v2/alerts"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.alerts().to_string(), alerts);
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
            assert_eq!(address.is_tls(), text.starts_with("https"));
        }
    }

    #[test]
    fn what_is_no_address() {
        for (text, why) in [
            ("", "no URL"),
            ("127.0.0.1:9093", "neither http"),
            ("ftp://host", "neither http"),
            ("/path", "neither http"),
            ("http://", "no URL"),
            ("http://:9093", "no host"),
            ("http://host:port", "port"),
            ("http://host:99999", "port"),
            ("http://name:word@host", "basic_auth"),
            ("http://host?a=b", "query"),
            ("http://host/api/v2/alerts", "leave that out"),
            ("http://a b", "no URL"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
