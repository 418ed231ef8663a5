//! Answers: body, headers, compression.

use std::{
    borrow::Cow,
    io::{self, Write as _},
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Response, StatusCode,
        header::{
            ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, ETAG, HeaderName, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
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
    body: Cow<'static, [u8]>,
    /// Names what is in the body, so that a browser need not fetch it again.
    tag: Option<&'static str>,
    policy: &'static str,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

impl Reply {
    /// A body of this media type.
    pub(super) fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(StatusCode::OK, content_type, body.into())
    }

    /// One line of text.
    pub(super) fn line(status: StatusCode, line: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n").into_bytes())
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
        Self::new(status, JSON, body)
    }

    /// A part of the page, which scripts and styles of this server may be used in. What has the
    /// same tag has the same body.
    pub(super) fn page(content_type: &'static str, body: &'static [u8], tag: &'static str) -> Self {
        Self {
            tag: Some(tag),
            policy: PAGE_POLICY,
            ..Self::new(StatusCode::OK, content_type, body)
        }
    }

    /// A drawing that has its own style and script: it may use these, in a world of its own from
    /// which nothing of this server can be reached.
    pub(super) fn drawing(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { policy: DRAWING_POLICY, ..Self::new(StatusCode::OK, content_type, body) }
    }

    fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        Self { status, content_type, body: body.into(), tag: None, policy: POLICY }
    }

    /// The answer to a request with these headers.
    pub(super) fn to(mut self, request: &HeaderMap) -> Response<Body> {
        if self.tag.is_some_and(|tag| accept::has(request, tag)) {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = Cow::Borrowed(&[]);
        }
        let compressed = (self.body.len() > COMPRESS_FROM && accept::gzip(request))
            .then(|| gzip(&self.body).ok())
            .flatten();
        let coding = compressed.as_ref().map(|_| HeaderValue::from_static("gzip"));
        let body = compressed.map_or(self.body, Cow::Owned);
        let body = match body {
            Cow::Borrowed(body) => Body::from(body),
            Cow::Owned(body) => Body::from(body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, coding);
        }
        headers.append(VARY, HeaderValue::from(ACCEPT));
        headers.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
        headers.extend(SAFETY.map(|(n, v)| (n, HeaderValue::from_static(v))));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(self.policy));
        let caching = if self.tag.is_some() { "no-cache" } else { "no-store" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        if let Some(tag) = self.tag {
            headers.insert(ETAG, HeaderValue::from_static(tag));
        }
        response
    }
}

/// What keeps a browser from doing more with an answer than to show it.
const SAFETY: [(HeaderName, &str); 2] =
    [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")];

/// Of what is no page: nothing.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Of a drawing: what is written into it, without an origin and without anything of the network.
const DRAWING_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
                              style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                              frame-ancestors 'none'; sandbox allow-scripts";

/// Of the page: scripts, styles, pictures and data of this server, none of them written into the
/// page itself; and no text becomes markup, whatever a script does.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                           img-src 'self'; connect-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'; \
                           require-trusted-types-for 'script'; trusted-types 'none'";

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
