//! What a failure means for alerts: whether they are sent again, and what to do, in the words of the
//! configuration.

use hyper::StatusCode;

use crate::push::failure::{Failure, Hint};

/// The Alertmanager has answered, and the same request would fail again.
pub(super) fn is_final(failure: &Failure) -> bool {
    failure.status.is_some_and(|status| {
        let passes = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        !passes
    })
}

/// What to do.
pub(super) fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::Login => {
            "give basic_auth or bearer_token_file of this Alertmanager in the configuration file"
        }
        Hint::Path => "is that the address of an Alertmanager with the API v2, path included?",
        Hint::Refused => "nothing listens there: is the Alertmanager running, and the port right?",
        Hint::Issuer => {
            "nobody known vouches for it: name the certificate of its authority with tls.ca_file"
        }
        Hint::OtherName => {
            "use a name that is in its certificate, or give that with tls.server_name"
        }
        Hint::Certificate => "its certificate does not do: see tls.ca_file and tls.server_name",
        Hint::WantsCertificate => {
            "it refuses: does it want a certificate of the agent (tls.cert_file, tls.key_file)?"
        }
        _ => hint
            .common()
            .unwrap_or("see the keys below tls of this Alertmanager in the configuration file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again() {
        for (status, expected) in [
            (200, true),
            (301, true),
            (400, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_final(&Failure::status(status, "")), expected, "{status}");
        }
        assert!(!is_final(&Failure::local(&"no file")));
    }

    #[test]
    fn the_way_out_is_in_the_words_of_the_configuration() {
        assert!(words(Hint::Issuer).contains("tls.ca_file"));
        assert!(words(Hint::Login).contains("basic_auth"));
        assert!(words(Hint::Tls).contains("configuration file"));
        assert!(words(Hint::Redirected).contains("not followed"));
    }
}
