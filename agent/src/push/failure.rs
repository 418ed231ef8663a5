//! Why a request failed, in words, and what to do.

use std::{error::Error, fmt, io, time::Duration};

use hyper::StatusCode;
use rustls::CertificateError;

use crate::model::bounded::bounded;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, on one line.
    pub(crate) reason: String,
    /// What to do, where that is known.
    pub(crate) hint: Option<Hint>,
    /// The server has answered, with this status.
    pub(crate) status: Option<StatusCode>,
}

/// What to do. Where that depends on what the server is, and on what its options are called, the
/// words are with those who report to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// It does not answer.
    Silent,
    /// It wants to know who asks.
    Login,
    /// There is nothing at that path.
    Path,
    /// It sends the agent elsewhere.
    Redirected,
    /// It speaks TLS, and was not spoken to so.
    SpeaksTls,
    /// It does not speak TLS, and was spoken to so.
    SpeaksNoTls,
    /// Nothing listens there.
    Refused,
    /// The host does not answer.
    TimedOut,
    /// The name is not known.
    Name,
    /// Nobody known vouches for it.
    Issuer,
    /// It is called otherwise.
    OtherName,
    /// Its certificate is not valid today.
    Dates,
    /// Its certificate does not do.
    Certificate,
    /// It refuses the agent.
    WantsCertificate,
    /// TLS does not work.
    Tls,
}

impl Hint {
    /// The words where they are the same for every server.
    pub(crate) fn common(self) -> Option<&'static str> {
        Some(match self {
            Self::Silent => "is it overloaded, or does something on the way swallow the packets?",
            Self::Redirected => "redirections are not followed: give the address it leads to",
            Self::SpeaksTls => "it speaks TLS: give its address with https://",
            Self::SpeaksNoTls => {
                "it does not speak TLS: give its address with http://, or switch TLS on there"
            }
            Self::TimedOut => "is the host up, and the port open in its firewall?",
            Self::Name => "does this host's resolver know the name?",
            Self::Dates => {
                "renew its certificate, and look whether the clock of this host is right"
            }
            Self::Login
            | Self::Path
            | Self::Refused
            | Self::Issuer
            | Self::OtherName
            | Self::Certificate
            | Self::WantsCertificate
            | Self::Tls => return None,
        })
    }
}

impl Failure {
    /// No answer in time.
    pub(crate) fn silence(waited: Duration) -> Self {
        Self {
            reason: format!("no answer within {} s", waited.as_secs()),
            hint: Some(Hint::Silent),
            status: None,
        }
    }

    /// Something here is wrong, as a file that cannot be read.
    pub(crate) fn local(error: &dyn fmt::Display) -> Self {
        Self { reason: bounded(&error.to_string()).to_string(), hint: None, status: None }
    }

    /// There was no answer, or a broken one.
    pub(crate) fn broken(error: &(dyn Error + 'static)) -> Self {
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
        Self { reason: bounded(&words.join(": ")).to_string(), hint, status: None }
    }

    /// An answer that is no success, with its text.
    pub(crate) fn status(status: StatusCode, text: &str) -> Self {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let colon = if line.is_empty() { "" } else { ": " };
        let reason = bounded(&format!("it answers {status}{colon}{line}")).to_string();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Hint::Login),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Some(Hint::Path),
            _ if status.is_redirection() => Some(Hint::Redirected),
            _ if line.contains("HTTP request to an HTTPS server") => Some(Hint::SpeaksTls),
            _ => None,
        };
        Self { reason, hint, status: Some(status) }
    }
}

fn way_out(error: &(dyn Error + 'static)) -> Option<Hint> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(tls));
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        // An error within an I/O error is none of its sources.
        let inner = io.get_ref().and_then(|inner| way_out(inner));
        return inner.or(match io.kind() {
            io::ErrorKind::ConnectionRefused => Some(Hint::Refused),
            io::ErrorKind::TimedOut => Some(Hint::TimedOut),
            _ => None,
        });
    }
    error.to_string().starts_with("dns error").then_some(Hint::Name)
}

fn of_tls(error: &rustls::Error) -> Hint {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => Hint::Issuer,
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            Hint::OtherName
        }
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => Hint::Dates,
        rustls::Error::InvalidCertificate(_) => Hint::Certificate,
        rustls::Error::AlertReceived(_) => Hint::WantsCertificate,
        rustls::Error::InvalidMessage(_) => Hint::SpeaksNoTls,
        _ => Hint::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_told() {
        let text = "\n  bad \u{1b}[2J\nand more";
        let failure = Failure::status(StatusCode::BAD_REQUEST, text);
        assert_eq!(failure.reason, "it answers 400 Bad Request: bad \u{fffd}[2J");
        let failure = Failure::status(StatusCode::BAD_REQUEST, &"x".repeat(100_000));
        assert!(failure.reason.len() < 1_000);
        let failure = Failure::status(StatusCode::UNAUTHORIZED, "");
        assert_eq!(failure.reason, "it answers 401 Unauthorized");
        assert_eq!(failure.hint, Some(Hint::Login));
    }

    #[test]
    fn an_error_within_an_io_error_has_its_way_out() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let failure = Failure::broken(&io::Error::other(io::Error::other(tls)));
        assert_eq!(failure.hint, Some(Hint::Issuer));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(Failure::broken(&refused).hint, Some(Hint::Refused));
        assert_eq!(Failure::broken(&refused).status, None);
    }
}
