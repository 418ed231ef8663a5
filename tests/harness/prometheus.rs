//! A strict parser of the Prometheus text format and of OpenMetrics text.
//!
//! Both are read by the rules they share
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>): what a scraper might accept but the
//! specification forbids is an error here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name, with its suffix.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

impl Sample {
    /// The value of a label, empty where it has none (which is the same to Prometheus).
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The value as a count, where it is one.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number that a double holds exactly"
    )]
    pub fn count(&self) -> Option<u64> {
        let whole = self.value.fract() == 0.0 && (0.0..9e15).contains(&self.value);
        whole.then_some(self.value as u64)
    }
}

/// A scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape {
    /// Type of each family, by its name.
    pub types: BTreeMap<String, String>,
    /// All samples, in order.
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// The samples of this name whose labels include these.
    pub fn series<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name && labels.iter().all(|(key, value)| sample.label(key) == *value)
        })
    }

    /// The value of the one sample of this name whose labels include these.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let mut found = self.series(name, labels);
        let value = found.next().with_context(|| format!("no sample {name} {labels:?}"))?.value;
        ensure!(found.next().is_none(), "more than one sample {name} {labels:?}");
        Ok(value)
    }

    /// As [`Scrape::value`], for a count.
    ///
    /// # Errors
    /// As there, and where it is not a whole number.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        self.value(name, labels)?;
        let sample = self.series(name, labels).next();
        sample.and_then(Sample::count).with_context(|| format!("{name} is not a count"))
    }
}

/// Parses a whole scrape.
///
/// # Errors
/// Where it breaks the format; the line is named.
pub fn parse(text: &str) -> Result<Scrape> {
    ensure!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut scrape = Scrape::default();
    let mut seen = BTreeSet::new();
    let mut closed = BTreeSet::new();
    let mut current: Option<String> = None;
    let mut ended = false;
    for (number, line) in text.lines().enumerate() {
        let at = || format!("line {}: {line:?}", number + 1);
        ensure!(!ended, "{} comes after # EOF", at());
        if line == "# EOF" {
            ended = true;
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let family = if let Some(comment) = line.strip_prefix("# ") {
            let Some(family) = declaration(comment, &mut scrape).with_context(at)? else {
                continue;
            };
            family
        } else {
            ensure!(!line.starts_with('#'), "{} is neither comment nor declaration", at());
            let sample = sample(line).with_context(at)?;
            let family = family_of(&sample.name, &scrape.types)
                .with_context(|| format!("{} has no TYPE before it", at()))?;
            let key = (sample.name.clone(), sample.labels.clone());
            ensure!(seen.insert(key), "{} is there twice", at());
            scrape.samples.push(sample);
            family
        };
        if current.as_ref() != Some(&family) {
            ensure!(!closed.contains(&family), "{} comes back to {family}", at());
            closed.extend(current.replace(family));
        }
    }
    histograms(&scrape)?;
    Ok(scrape)
}

/// A HELP, TYPE or UNIT line; gives the family's name, `None` for any other comment.
fn declaration(comment: &str, scrape: &mut Scrape) -> Result<Option<String>> {
    let mut parts = comment.splitn(3, ' ');
    let (keyword, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match keyword {
        "HELP" | "UNIT" => {}
        "TYPE" => {
            let kind = parts.next().context("no type")?;
            let known = ["counter", "gauge", "histogram", "summary", "untyped", "unknown", "info"];
            ensure!(known.contains(&kind), "unknown type {kind:?}");
            let twice = scrape.types.insert(name.to_owned(), kind.to_owned()).is_some();
            ensure!(!twice, "{name} has two types");
        }
        _ => return Ok(None),
    }
    ensure!(is_name(name, true), "{name:?} is no metric name");
    Ok(Some(name.to_owned()))
}

/// The declared family that a sample belongs to.
fn family_of(sample: &str, types: &BTreeMap<String, String>) -> Option<String> {
    let suffixes: [(&str, &[&str]); 6] = [
        ("", &["counter", "gauge", "untyped", "unknown", "histogram", "summary"]),
        ("_total", &["counter"]),
        ("_created", &["counter", "histogram", "summary"]),
        ("_info", &["info"]),
        ("_bucket", &["histogram"]),
        ("_sum", &["histogram", "summary"]),
    ];
    let count = ("_count", ["histogram", "summary"].as_slice());
    suffixes.into_iter().chain([count]).find_map(|(suffix, kinds)| {
        let family = sample.strip_suffix(suffix)?;
        let kind = types.get(family)?;
        kinds.contains(&kind.as_str()).then(|| family.to_owned())
    })
}

fn is_name(name: &str, colon: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    ensure!(is_name(name, true), "{name:?} is no metric name");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = read_labels(inner, &mut labels)?;
    }
    // An exemplar may follow in OpenMetrics, on buckets and counters.
    let values = rest.split(" # ").next().unwrap_or_default();
    let mut fields = values.split_ascii_whitespace();
    let value = number(fields.next().context("no value")?)?;
    if let Some(timestamp) = fields.next() {
        number(timestamp)?;
    }
    ensure!(fields.next().is_none(), "something follows the value");
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Reads `a="b",c="d"}`, gives what follows.
fn read_labels<'a>(mut rest: &'a str, labels: &mut Labels) -> Result<&'a str> {
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = rest.split_once("=\"").context("a label without value")?;
        ensure!(is_name(name, false), "{name:?} is no label name");
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().context("a label value without end")? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, c @ ('\\' | '"'))) => c,
                    other => bail!("bad escape {other:?}"),
                }),
                (_, c) => value.push(c),
            }
        };
        let twice = labels.insert(name.to_owned(), value).is_some();
        ensure!(!twice, "label {name:?} is there twice");
        rest = after.get(end..).unwrap_or_default();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => ensure!(rest.starts_with('}'), "no comma between labels"),
        }
    }
}

fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ => {
            let plain = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
            ensure!(plain, "{text:?} is no number");
            text.parse().with_context(|| format!("{text:?} is no number"))
        }
    }
}

/// Buckets grow, the last is `+Inf` and equals the count.
fn histograms(scrape: &Scrape) -> Result<()> {
    for (family, _) in scrape.types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        let (bucket, count) = (format!("{family}_bucket"), format!("{family}_count"));
        for sample in scrape.series(&bucket, &[]) {
            let bound = number(sample.label("le")).with_context(|| format!("le of {family}"))?;
            let mut labels = sample.labels.clone();
            labels.remove("le");
            buckets.entry(labels).or_default().push((bound, sample.value));
        }
        for (labels, buckets) in buckets {
            let growing =
                buckets.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0 && a.1 <= b.1));
            ensure!(growing, "the buckets of {family} {labels:?} do not grow");
            let count = scrape
                .series(&count, &[])
                .find(|sample| sample.labels == labels)
                .with_context(|| format!("{family} {labels:?} has no count"))?;
            let last = buckets.last().copied();
            ensure!(
                last == Some((f64::INFINITY, count.value)),
                "the last bucket of {family} {labels:?} is {last:?}, its count {}",
                count.value
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_total What it counts.\n# TYPE a_total counter\n\
        a_total{pid=\"1\",f=\"x \\\"y\\\" \\\\ \\n}\"} 12\n\
        # TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n";

    #[test]
    fn samples_are_read_with_their_labels() {
        let scrape = parse(GOOD).unwrap();
        assert_eq!(scrape.count("a_total", &[("pid", "1")]).unwrap(), 12);
        assert_eq!(scrape.samples[0].label("f"), "x \"y\" \\ \n}");
        assert_eq!(scrape.value("h_sum", &[]).unwrap(), 4.5);
    }

    #[test]
    fn openmetrics_counters_belong_to_the_family_without_suffix() {
        let scrape = parse("# TYPE a counter\na_total 1 # {t=\"x\"} 1\n# EOF\n").unwrap();
        assert_eq!(scrape.count("a_total", &[]).unwrap(), 1);
    }

    #[test]
    fn what_the_format_forbids_is_refused() {
        for bad in [
            "a 1\n",
            "# TYPE a gauge\na 1",
            "# TYPE a gauge\na 1\na 2\n",
            "# TYPE a gauge\n# TYPE a gauge\n",
            "# TYPE a gauge\n# TYPE b gauge\na 1\nb 1\na{x=\"1\"} 1\n",
            "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
            "# TYPE a gauge\na{x=\"\\q\"} 1\n",
            "# TYPE a gauge\na one\n",
            "# TYPE a gauge\na 1 2 3\n",
            "# TYPE a gauge\na{1x=\"\"} 1\n",
            "# EOF\n# TYPE a gauge\n",
            "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n",
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
