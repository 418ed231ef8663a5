//! What a client accepts: `Accept` and `Accept-Encoding` (RFC 9110, section 12.5), and what it has
//! already: `If-None-Match` (section 13.1.2).

use axum::http::{
    HeaderMap,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName, IF_NONE_MATCH},
};

use super::metrics::Format;

/// The exposition format that the client likes best: highest quality, then what it names first.
/// A client that names nothing we have gets text, as from other exporters.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let ranges: Vec<_> = elements(headers, &ACCEPT).map(Range::parse).collect();
    let mut best = None;
    for format in Format::ALL {
        // For one format the most specific range counts, whatever the others say.
        let mine = ranges.iter().enumerate().filter_map(|(position, range)| {
            Some((specificity(range, format)?, std::cmp::Reverse(position), range.quality))
        });
        let Some((_, position, quality)) =
            mine.max_by_key(|&(specificity, position, _)| (specificity, position))
        else {
            continue;
        };
        if quality > 0 && best.is_none_or(|(than, _)| (quality, position) > than) {
            best = Some(((quality, position), format));
        }
    }
    best.map_or(Format::Text, |(_, format)| format)
}

/// May the answer be compressed with gzip?
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let codings: Vec<_> = elements(headers, &ACCEPT_ENCODING).map(Range::parse).collect();
    let named = |names: &[&str]| {
        codings
            .iter()
            .find(|coding| names.iter().any(|name| coding.name.eq_ignore_ascii_case(name)))
    };
    named(&["gzip", "x-gzip"]).or_else(|| named(&["*"])).is_some_and(|coding| coding.quality > 0)
}

/// Does the client have what has this tag? Compressed or not: tags are compared weakly.
pub(super) fn has(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    elements(headers, &IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == opaque(tag))
}

/// The comma-separated elements of all headers of this name.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

/// `name; parameter=value; q=0.5`
struct Range<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Self {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .collect();
        let mut quality = 1000;
        parameters.retain(|(key, value)| {
            let is_quality = key.eq_ignore_ascii_case("q");
            if is_quality {
                quality = thousandths(value);
            }
            !is_quality
        });
        Self { name, parameters, quality }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|&(_, value)| value)
    }
}

/// A quality value in thousandths; what is none counts as "not wanted".
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits) {
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        ("1", true) => 1000,
        _ => 0,
    }
}

/// How closely `range` names `format`; `None` where it does not.
fn specificity(range: &Range<'_>, format: Format) -> Option<u8> {
    let (family, name) = match format {
        Format::Text => ("text/*", "text/plain"),
        Format::OpenMetrics => ("application/*", "application/openmetrics-text"),
        Format::Protobuf => ("application/*", "application/vnd.google.protobuf"),
    };
    // A parameter we do not know (`escaping`, `charset`) makes no other format of it.
    let version = |ours: &str| range.parameter("version").is_none_or(|theirs| theirs == ours);
    let is = |name: &str, ours: &str| {
        range.parameter(name).is_some_and(|theirs| theirs.eq_ignore_ascii_case(ours))
    };
    if range.name == "*/*" {
        return Some(0);
    }
    if range.name.eq_ignore_ascii_case(family) {
        return Some(1);
    }
    let served = range.name.eq_ignore_ascii_case(name)
        && match format {
            Format::Text => version("0.0.4"),
            Format::OpenMetrics => version("1.0.0"),
            Format::Protobuf => {
                is("proto", "io.prometheus.client.MetricFamily") && is("encoding", "delimited")
            }
        };
    served.then_some(2)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let value = |value: &&str| (name.clone(), HeaderValue::from_str(value).unwrap());
        values.iter().map(value).collect()
    }

    const PROTOBUF: &str = "application/vnd.google.protobuf;\
        proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn tags() {
        let known = |values: &[&str]| has(&headers(IF_NONE_MATCH, values), "W/\"ab\"");
        assert!(known(&["W/\"ab\""]) && known(&["\"x\", \"ab\""]) && known(&["*"]));
        assert!(!known(&[]) && !known(&["\"a\""]) && !known(&["ab"]));
    }

    #[test]
    fn formats() {
        use Format::{OpenMetrics, Protobuf, Text};
        let table: &[(&[&str], Format)] = &[
            (&[], Text),
            (&[""], Text),
            (&["*/*"], Text),
            (&["text/plain"], Text),
            (&["text/*"], Text),
            (&["TEXT/PLAIN; VERSION=0.0.4"], Text),
            (&["text/plain;version=0.0.4;charset=utf-8"], Text),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Text),
            (&["image/png"], Text),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["application/openmetrics-text; version=\"1.0.0\""], OpenMetrics),
            (&["application/openmetrics-text;version=0.0.1"], Text),
            (&["application/openmetrics-text;version=2.0.0,text/plain;q=0.1"], Text),
            (&["application/*"], OpenMetrics),
            (&[PROTOBUF], Protobuf),
            (&["application/vnd.google.protobuf"], Text),
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                ],
                Text,
            ),
            (&["application/vnd.google.protobuf;proto=other;encoding=delimited"], Text),
            // Prometheus 2.42, without and with native histograms.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OpenMetrics,
            ),
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                Protobuf,
            ),
            // Prometheus 3.
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ],
                Protobuf,
            ),
            // Quality, then order, then what is specific.
            (&["text/plain;q=0.5,application/openmetrics-text;q=0.6"], OpenMetrics),
            (&["text/plain;q=0.6,application/openmetrics-text;q=0.59"], Text),
            (&["application/openmetrics-text,text/plain"], OpenMetrics),
            (&["text/plain,application/openmetrics-text"], Text),
            (&["text/plain;q=0.5", PROTOBUF], Protobuf),
            (&["*/*,text/plain;q=0"], OpenMetrics),
            (&["text/plain;q=0"], Text),
            (&["application/openmetrics-text;q=0,text/plain;q=0.1"], Text),
            // Nonsense.
            (&["application/openmetrics-text;q=2,text/plain;q=0.1"], Text),
            (&["application/openmetrics-text;q=,text/plain;q=0.1"], Text),
            (&[";;;,=,,q=1,/;"], Text),
        ];
        for (accept, expected) in table {
            assert_eq!(format(&headers(ACCEPT, accept)), *expected, "{accept:?}");
        }
    }

    #[test]
    fn codings() {
        let table: &[(&[&str], bool)] = &[
            (&[], false),
            (&["identity"], false),
            (&["gzip"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=1.0, *;q=0.5"], true),
            (&["br", "GZIP"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0.001"], true),
            (&["notgzip"], false),
        ];
        for (accept, expected) in table {
            assert_eq!(gzip(&headers(ACCEPT_ENCODING, accept)), *expected, "{accept:?}");
        }
    }
}
