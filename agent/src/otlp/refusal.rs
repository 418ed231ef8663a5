//! What to do where a collector cannot be reached or refuses, in the words of the options.

use super::endpoint::Endpoint;
use crate::push::failure::{Failure, Hint};

/// What to do, where that is known.
pub(super) fn words(failure: &Failure, endpoint: &Endpoint) -> Option<&'static str> {
    let unspoken = matches!(failure.hint, None | Some(Hint::Silent | Hint::SpeaksNoTls));
    if endpoint.is_for_grpc() && unspoken && failure.status.is_none() {
        return Some(
            "port 4317 is that of OTLP over gRPC as a rule, and the agent speaks OTLP over HTTP: \
             that is at port 4318",
        );
    }
    failure.hint.map(|hint| match hint {
        Hint::Login => "give the header that it wants with --otlp-headers-file",
        Hint::Path => {
            "is that the address of a collector that takes OTLP over HTTP? /v1/metrics is put \
             behind it"
        }
        Hint::Refused => {
            "nothing listens there: is the collector running, its receiver for OTLP over HTTP \
             switched on, and the port right (4318 as a rule)?"
        }
        Hint::Issuer => {
            "nobody known vouches for it: name the certificate of its authority with --otlp-ca-file"
        }
        Hint::OtherName => "use a name that is in its certificate",
        Hint::WantsCertificate => {
            "it refuses: does it want a certificate of the agent (--otlp-cert-file, \
             --otlp-key-file)?"
        }
        _ => hint.common().unwrap_or("its certificate does not do: see --otlp-ca-file"),
    })
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;

    #[test]
    fn a_collector_that_speaks_grpc() {
        let (grpc, http) = ("http://a:4317".parse().unwrap(), "http://a:4318".parse().unwrap());
        let broken = Failure::broken(&io::Error::other("invalid HTTP version parsed"));
        assert!(words(&broken, &grpc).unwrap().contains("4318"));
        assert_eq!(words(&broken, &http), None);
        let silent = Failure::silence(Duration::from_secs(10));
        assert!(words(&silent, &http).unwrap().contains("overloaded"));
        let refused = Failure::broken(&io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(words(&refused, &grpc).unwrap().contains("nothing listens"));
    }
}
