//! Headers that are added to every answer.

use std::{marker::PhantomData, str::FromStr};

use axum::http::{
    HeaderMap, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, HeaderName, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS, X_XSS_PROTECTION,
    },
};

use super::file::HeaderSection;

/// The value of a header.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header(HeaderValue);

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = HeaderValue::from_str(text);
        value.map(Self).map_err(|_| "it has characters that a header must not have")
    }
}

/// The words that a header may have.
pub(super) trait Words {
    /// They.
    const WORDS: &'static [&'static str];
}

/// One of some words.
#[derive(Debug)]
pub(super) struct OneOf<W>(&'static str, PhantomData<W>);

impl<W: Words> FromStr for OneOf<W> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = W::WORDS.iter().find(|word| **word == text);
        word.map(|word| Self(word, PhantomData))
            .ok_or_else(|| format!("one of {} is needed", W::WORDS.join(", ")))
    }
}

/// The headers.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    pub(super) fn of(section: &HeaderSection) -> Self {
        let own = |header: &Option<Header>| header.as_ref().map(|header| header.0.clone());
        let framing = section.x_frame_options.as_ref().map(|word| word.0);
        let sniffing = section.x_content_type_options.as_ref().map(|word| word.0);
        let all = [
            (CONTENT_SECURITY_POLICY, own(&section.content_security_policy)),
            (X_FRAME_OPTIONS, framing.map(HeaderValue::from_static)),
            (X_CONTENT_TYPE_OPTIONS, sniffing.map(HeaderValue::from_static)),
            (X_XSS_PROTECTION, own(&section.x_xss_protection)),
            (STRICT_TRANSPORT_SECURITY, own(&section.strict_transport_security)),
        ];
        Self(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// Adds them to an answer.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if *name == CONTENT_SECURITY_POLICY {
                // A browser holds to all policies: this one may forbid more than the answer's own,
                // and allow nothing that that one forbids.
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
    }
}
