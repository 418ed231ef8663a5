//! What a collector answers.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>

use std::time::Duration;

use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use jiff::{Timestamp, fmt::rfc2822};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use prost::Message;

use crate::push::{client::Answer, failure::Failure};

/// The longest time that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All was taken.
    Taken,
    /// All but so many points was taken, and what is said of it.
    Partly(u64, String),
    /// It may be sent again, after this time where the collector says so.
    Later(Failure, Option<Duration>),
    /// It is refused, and would be again.
    Refused(Failure),
}

/// Of errors, as `google/rpc/status.proto` has it; the details are of no use here.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// What an answer means.
pub(super) fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    if answer.status.is_success() {
        return taken(answer);
    }
    let told = is_protobuf(&answer.headers).then(|| Status::decode(answer.body.clone()).ok());
    let failure = match told.flatten() {
        Some(status) => Failure::status(answer.status, &status.message),
        None => answer.failure(),
    };
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Later(failure, retry_after(&answer.headers, now)),
        _ => Verdict::Refused(failure),
    }
}

/// A collector that answers in another form than it should has taken it all the same.
fn taken(answer: &Answer) -> Verdict {
    let told = is_protobuf(&answer.headers)
        .then(|| ExportMetricsServiceResponse::decode(answer.body.clone()).ok())
        .flatten();
    match told.and_then(|told| told.partial_success) {
        Some(ExportMetricsPartialSuccess { rejected_data_points: refused, error_message: why })
            if refused > 0 || !why.is_empty() =>
        {
            Verdict::Partly(u64::try_from(refused).unwrap_or(0), why)
        }
        _ => Verdict::Taken,
    }
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-protobuf"))
}

/// In seconds, or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let then = rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(then.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) -> Answer {
        let header = |(name, value): &(&'static str, &str)| {
            (hyper::header::HeaderName::from_static(name), value.parse().unwrap())
        };
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.iter().map(header).collect(),
            body: Bytes::from(body),
        }
    }

    const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

    fn told(refused: i64, why: &str) -> Verdict {
        let partial_success = Some(ExportMetricsPartialSuccess {
            rejected_data_points: refused,
            error_message: why.to_owned(),
        });
        let body = ExportMetricsServiceResponse { partial_success }.encode_to_vec();
        verdict(&answer(200, &[PROTOBUF], body), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn all_or_a_part_is_taken() {
        assert_eq!(told(0, ""), Verdict::Taken);
        assert_eq!(told(3, "too old"), Verdict::Partly(3, "too old".to_owned()));
        assert_eq!(told(0, "use v2"), Verdict::Partly(0, "use v2".to_owned()));
        assert_eq!(told(-1, ""), Verdict::Taken);
        for body in [&b""[..], b"{}", b"\xff\xff\xff"] {
            let answer = answer(200, &[PROTOBUF], body.to_vec());
            assert_eq!(verdict(&answer, Timestamp::UNIX_EPOCH), Verdict::Taken);
        }
    }

    #[test]
    fn what_may_be_sent_again() {
        for (status, later) in [
            (302, false),
            (400, false),
            (401, false),
            (404, false),
            (413, false),
            (429, true),
            (500, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            let verdict = verdict(&answer(status, &[], Vec::new()), Timestamp::UNIX_EPOCH);
            assert_eq!(matches!(verdict, Verdict::Later(_, None)), later, "{status}: {verdict:?}");
            assert_eq!(matches!(verdict, Verdict::Refused(_)), !later, "{status}: {verdict:?}");
        }
    }

    #[test]
    fn errors_are_told_in_either_form() {
        let body = Status { code: 3, message: "no such tenant".to_owned() }.encode_to_vec();
        for answer in [
            answer(400, &[PROTOBUF], body),
            answer(400, &[("content-type", "text/plain")], b"no such tenant\n".to_vec()),
        ] {
            let Verdict::Refused(failure) = verdict(&answer, Timestamp::UNIX_EPOCH) else {
                panic!("{answer:?}")
            };
            assert_eq!(failure.reason, "it answers 400 Bad Request: no such tenant");
        }
    }

    #[test]
    fn when_to_come_back() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:26:00 GMT", Some(0)),
            ("99999999999", Some(600)),
            ("soon", None),
            ("-1", None),
        ] {
            let answer = answer(503, &[("retry-after", text)], Vec::new());
            let Verdict::Later(_, after) = verdict(&answer, now) else { panic!("{text}") };
            assert_eq!(after.map(|after| after.as_secs()), seconds, "{text}");
        }
    }
}
