//! Why a request failed, in words, and what to do.

use std::{error::Error, fmt, io, time::Duration};

use hyper::StatusCode;
use rustls::CertificateError;

use crate::model::bounded::bounded;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened, on one line.
    pub(super) reason: String,
    /// What to do, where that is known.
    pub(super) hint: Option<&'static str>,
    /// The Alertmanager has answered, and the same request would fail again.
    pub(super) is_final: bool,
}

impl Failure {
    /// No answer in time.
    pub(super) fn silence(waited: Duration) -> Self {
        Self {
            reason: format!("no answer within {} s", waited.as_secs()),
            hint: Some("is it overloaded, or does something on the way swallow the packets?"),
            is_final: false,
        }
    }

    /// Something here is wrong, as a file that cannot be read.
    pub(super) fn local(error: &dyn fmt::Display) -> Self {
        Self { reason: bounded(&error.to_string()).to_string(), hint: None, is_final: false }
    }

    /// There was no answer, or a broken one.
    pub(super) fn broken(error: &(dyn Error + 'static)) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut hint = None;
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some repeat what is below them.
            if !words.iter().any(|word| word.contains(&text)) {
                words.push(text);
            }
            hint = hint.or_else(|| way_out(error));
            next = error.source();
        }
        Self { reason: bounded(&words.join(": ")).to_string(), hint, is_final: false }
    }

    /// An answer that is no success, with its text.
    pub(super) fn status(status: StatusCode, text: &str) -> Self {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let colon = if line.is_empty() { "" } else { ": " };
        let reason = bounded(&format!("it answers {status}{colon}{line}")).to_string();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(
                "give basic_auth or bearer_token_file of this Alertmanager in the configuration \
                 file",
            ),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Some("is that the address of an Alertmanager with the API v2, path included?")
            }
            _ if status.is_redirection() => {
                Some("redirections are not followed: give the address it leads to")
            }
            _ if line.contains("HTTP request to an HTTPS server") => {
                Some("it speaks TLS: give its address with https://")
            }
            _ => None,
        };
        let passes = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        Self { reason, hint, is_final: !passes }
    }
}

fn way_out(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        // An error within an I/O error is none of its sources.
        let inner = io.get_ref().and_then(|inner| way_out(inner));
        return inner.or(match io.kind() {
            io::ErrorKind::ConnectionRefused => {
                Some("nothing listens there: is the Alertmanager running, and the port right?")
            }
            io::ErrorKind::TimedOut => Some("is the host up, and the port open in its firewall?"),
            _ => None,
        });
    }
    let text = error.to_string();
    text.starts_with("dns error").then_some("does this host's resolver know the name?")
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            "nobody known vouches for it: name the certificate of its authority with tls.ca_file"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "use a name that is in its certificate, or give that with tls.server_name"
        }
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => "renew its certificate, and look whether the clock of this host is right",
        rustls::Error::InvalidCertificate(_) => {
            "its certificate does not do: see tls.ca_file and tls.server_name"
        }
        rustls::Error::AlertReceived(_) => {
            "it refuses: does it want a certificate of the agent (tls.cert_file, tls.key_file)?"
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: give its address with http://, or switch TLS on there"
        }
        _ => "see the keys below tls of this Alertmanager in the configuration file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again() {
        for (status, is_final) in [
            (200, true),
            (301, true),
            (400, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Failure::status(status, "").is_final, is_final, "{status}");
        }
    }

    #[test]
    fn the_first_line_is_told() {
        let text = "\n  bad \u{1b}[2J\nand more";
        let failure = Failure::status(StatusCode::BAD_REQUEST, text);
        assert_eq!(failure.reason, "it answers 400 Bad Request: bad \u{fffd}[2J");
        let failure = Failure::status(StatusCode::BAD_REQUEST, &"x".repeat(100_000));
        assert!(failure.reason.len() < 1_000);
        let failure = Failure::status(StatusCode::UNAUTHORIZED, "");
        assert_eq!(failure.reason, "it answers 401 Unauthorized");
        assert!(failure.hint.unwrap().contains("basic_auth"));
    }

    #[test]
    fn an_error_within_an_io_error_has_its_way_out() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let failure = Failure::broken(&io::Error::other(io::Error::other(tls)));
        assert!(failure.hint.unwrap().contains("tls.ca_file"), "{failure:?}");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(Failure::broken(&refused).hint.unwrap().contains("listens"));
        assert!(!Failure::broken(&refused).is_final);
    }
}
