//! The form of the file: that of the Prometheus exporters.
//!
//! <https://github.com/prometheus/exporter-toolkit/blob/v0.15.0/docs/web-configuration.md>

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{
    error::WebError,
    hash::Hash,
    header::Header,
    name::{Cipher, ClientAuth, Curve, Version},
    value::{GoDuration, Item, YesNo, value, values},
};

const TWICE: &str = "given twice:";

/// What the file says; what it does not say is `None`, or empty.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebFile {
    pub(super) tls_server_config: Option<TlsSection>,
    pub(super) http_server_config: Option<HttpSection>,
    #[serde(deserialize_with = "mapping")]
    pub(super) basic_auth_users: BTreeMap<String, Hash>,
    pub(super) rate_limit: Option<RateSection>,
}

/// `tls_server_config`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsSection {
    #[serde(deserialize_with = "value")]
    pub(super) cert: Option<String>,
    #[serde(deserialize_with = "value")]
    pub(super) key: Option<String>,
    #[serde(deserialize_with = "value")]
    pub(super) client_ca: Option<String>,
    #[serde(deserialize_with = "value")]
    pub(super) cert_file: Option<String>,
    #[serde(deserialize_with = "value")]
    pub(super) key_file: Option<String>,
    #[serde(deserialize_with = "value")]
    pub(super) client_auth_type: Option<ClientAuth>,
    #[serde(deserialize_with = "value")]
    pub(super) client_ca_file: Option<String>,
    #[serde(deserialize_with = "values")]
    pub(super) client_allowed_sans: Vec<String>,
    #[serde(deserialize_with = "value")]
    pub(super) min_version: Option<Version>,
    #[serde(deserialize_with = "value")]
    pub(super) max_version: Option<Version>,
    #[serde(deserialize_with = "values")]
    pub(super) cipher_suites: Vec<Cipher>,
    #[serde(deserialize_with = "value")]
    pub(super) prefer_server_cipher_suites: Option<YesNo>,
    #[serde(deserialize_with = "values")]
    pub(super) curve_preferences: Vec<Curve>,
}

impl TlsSection {
    /// Is TLS meant? A section without anything in it is as none.
    pub(super) fn is_meant(&self) -> bool {
        let texts = [
            &self.cert,
            &self.key,
            &self.client_ca,
            &self.cert_file,
            &self.key_file,
            &self.client_ca_file,
        ];
        texts.into_iter().any(Option::is_some)
            || self.client_auth_type.is_some()
            || !self.client_allowed_sans.is_empty()
            || self.min_version.or(self.max_version).is_some()
            || !self.cipher_suites.is_empty()
            || self.prefer_server_cipher_suites.is_some()
            || !self.curve_preferences.is_empty()
    }
}

/// `http_server_config`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpSection {
    #[serde(deserialize_with = "value")]
    pub(super) http2: Option<YesNo>,
    pub(super) headers: Option<HeaderSection>,
}

/// `http_server_config.headers`: these and no others.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HeaderSection {
    #[serde(rename = "Content-Security-Policy", deserialize_with = "value")]
    pub(super) content_security_policy: Option<Header>,
    #[serde(rename = "X-Frame-Options", deserialize_with = "value")]
    pub(super) x_frame_options: Option<Framing>,
    #[serde(rename = "X-Content-Type-Options", deserialize_with = "value")]
    pub(super) x_content_type_options: Option<Sniffing>,
    #[serde(rename = "X-XSS-Protection", deserialize_with = "value")]
    pub(super) x_xss_protection: Option<Header>,
    #[serde(rename = "Strict-Transport-Security", deserialize_with = "value")]
    pub(super) strict_transport_security: Option<Header>,
}

/// `deny` or `sameorigin`.
pub(super) type Framing = super::header::OneOf<FramingWords>;
/// `nosniff`.
pub(super) type Sniffing = super::header::OneOf<SniffingWords>;

/// The words for framing.
#[derive(Debug)]
pub(super) struct FramingWords;
/// The word against guessing what an answer is.
#[derive(Debug)]
pub(super) struct SniffingWords;

impl super::header::Words for FramingWords {
    const WORDS: &'static [&'static str] = &["deny", "sameorigin"];
}

impl super::header::Words for SniffingWords {
    const WORDS: &'static [&'static str] = &["nosniff"];
}

/// `rate_limit`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateSection {
    #[serde(deserialize_with = "value")]
    pub(super) interval: Option<GoDuration>,
    #[serde(deserialize_with = "value")]
    pub(super) burst: Option<u32>,
}

impl WebFile {
    /// Reads the text of the file at `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, WebError> {
        // A file of nothing but comments is no mapping, and says nothing.
        let parsed = serde_norway::from_str::<Option<Self>>(text);
        parsed.map(Option::unwrap_or_default).map_err(|error| {
            let said = error.to_string();
            let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
            let why = why.replace("unknown field", "unknown key").replace("duplicate field", TWICE);
            let place = error.location().map(|at| format!(":{}:{}", at.line(), at.column()));
            // Of a key that is there twice the parser knows only where its mapping begins.
            let place = place.filter(|_| !why.contains(TWICE)).unwrap_or_default();
            WebError::Wrong { path: path.to_owned(), place, why }
        })
    }
}

/// Users and the hashes of their passwords.
fn mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Hash>, D::Error> {
    struct Mapping;
    impl<'de> Visitor<'de> for Mapping {
        type Value = BTreeMap<String, Hash>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping of names to bcrypt hashes")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut users = BTreeMap::new();
            while let Some(name) = map.next_key::<Item<UserName>>()? {
                let name = name.0.ok_or_else(|| A::Error::custom("a user has no name"))?.0;
                let hash = map.next_value::<Item<Hash>>()?.0;
                let hash = hash.ok_or_else(|| {
                    A::Error::custom(format!("the user \"{name}\" has no bcrypt hash"))
                })?;
                if users.insert(name.clone(), hash).is_some() {
                    return Err(A::Error::custom(format!("{TWICE} the user \"{name}\"")));
                }
            }
            Ok(users)
        }
    }
    deserializer.deserialize_any(Mapping)
}

/// What a client can give as its name.
struct UserName(String);

impl std::str::FromStr for UserName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') || text.chars().any(char::is_control) {
            return Err("a user's name has neither a colon nor control characters");
        }
        Ok(Self(text.to_owned()))
    }
}
