//! Answers: body, headers, compression.

use std::io::{self, Write as _};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Response, StatusCode,
        header::{
            ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;

use super::accept;

/// Shorter bodies are not worth the work.
const COMPRESS_FROM: usize = 1024;

/// JSON.
const JSON: &str = "application/json";

/// An answer before it is compressed.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

impl Reply {
    /// A body of this media type.
    pub(super) fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// One line of text.
    pub(super) fn line(status: StatusCode, line: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{line}\n").into() }
    }

    /// JSON.
    pub(super) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::ok(JSON, body),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Self::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written")
            }
        }
    }

    /// `{"error": …}`
    pub(super) fn error(status: StatusCode, error: &str) -> Self {
        let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
        Self { status, content_type: JSON, body }
    }

    /// The answer to a request with these headers.
    pub(super) fn to(self, request: &HeaderMap) -> Response<Body> {
        let compressed = (self.body.len() > COMPRESS_FROM && accept::gzip(request))
            .then(|| gzip(&self.body).ok())
            .flatten();
        let coding = compressed.as_ref().map(|_| HeaderValue::from_static("gzip"));
        let mut response = Response::new(Body::from(compressed.unwrap_or(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, coding);
        }
        headers.append(VARY, HeaderValue::from(ACCEPT));
        headers.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
        response.headers_mut().extend(SAFETY.map(|(n, v)| (n, HeaderValue::from_static(v))));
        response
    }
}

/// What keeps a browser from doing more with an answer than to show it.
const SAFETY: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
