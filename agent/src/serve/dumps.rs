//! Goroutine dumps over HTTP, where the agent was told to give them out.

use std::io::{self, Write};

use axum::{
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, Response, StatusCode},
};
use serde::Deserialize;

use super::{
    reply::Reply,
    routes::{Answers, no_number, number, off_the_loop},
    source::NoDump,
    stacks::StacksJson,
};
use crate::dumps::{self, Format};

/// The longest answer, before it is compressed.
const LONGEST: usize = 256 << 20;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    format: Option<String>,
}

/// `/api/v1/processes/{pid}/dump?format=`
pub(super) async fn dump(
    State(source): Answers,
    pid: Result<Path<u32>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    request: HeaderMap,
) -> Response<Body> {
    let Some(pid) = number(pid) else { return no_number(&request) };
    let wanted = wanted.map(|Query(wanted)| wanted.format.unwrap_or_else(|| "text".to_owned()));
    let format = wanted.unwrap_or_default().parse::<Format>();
    let format = match format {
        Ok(format) => format,
        Err(error) => {
            let error = format!("?format=: {error}");
            return Reply::error(StatusCode::BAD_REQUEST, &error).to(&request);
        }
    };
    match source.dump(pid).await {
        Ok(mut dump) => {
            let make = move |_: &HeaderMap| {
                if !format.marks_system() {
                    dump.goroutines.retain(|goroutine| !goroutine.system);
                }
                let mut out = Bounded(Vec::new());
                match dumps::write(format, &dump, &mut out) {
                    Ok(()) if format == Format::Svg => Reply::drawing(format.content_type(), out.0),
                    Ok(()) => Reply::ok(format.content_type(), out.0),
                    Err(error) => no_dump(&NoDump::Failed(error.to_string())),
                }
            };
            off_the_loop(request, make).await
        }
        Err(reason) => no_dump(&reason).to(&request),
    }
}

/// `/api/v1/processes/{pid}/stacks`
pub(super) async fn stacks(
    State(source): Answers,
    pid: Result<Path<u32>, PathRejection>,
    request: HeaderMap,
) -> Response<Body> {
    let Some(pid) = number(pid) else { return no_number(&request) };
    match source.dump(pid).await {
        Ok(dump) => off_the_loop(request, move |_| Reply::json(&StacksJson::from(&dump))).await,
        Err(reason) => no_dump(&reason).to(&request),
    }
}

/// Why there is none.
pub(super) fn no_dump(reason: &NoDump) -> Reply {
    let status = match reason {
        NoDump::NotAllowed => StatusCode::FORBIDDEN,
        NoDump::Unwatched(_) => StatusCode::NOT_FOUND,
        NoDump::Busy => StatusCode::TOO_MANY_REQUESTS,
        NoDump::TooLong(_) => StatusCode::GATEWAY_TIMEOUT,
        NoDump::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Reply::error(status, &reason.to_string())
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            let words = "the dump is longer than 256 MiB; `goroscope dump PID` has no such limit";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_an_error() {
        let mut out = Bounded(vec![0; LONGEST - 1]);
        assert!(out.write_all(b"a").is_ok());
        assert!(out.write_all(b"b").unwrap_err().to_string().contains("256 MiB"));
    }
}
