//! The configuration file: the options' names as keys, with `_` for `-`.

use std::{
    fmt, fs,
    io::{self, Read as _},
    marker::PhantomData,
    path::Path,
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::{
    alerts::AlertsConfig,
    diff::DiffConfig,
    dump::DumpConfig,
    failure::Failure,
    trace::TraceConfig,
    value::{
        HostName, Interval, LogFormat, PidValue, Probes, ReportForm, Settle, Share, Text, Within,
    },
};
use crate::{names::settings::CriSocket, otlp::endpoint::Endpoint};

/// A file that is larger than this is no configuration.
const FILE_LIMIT: u64 = 1 << 20;

const TWICE: &str = "given twice:";

/// What the file says; what it does not say is `None`, or empty.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    #[serde(deserialize_with = "many")]
    pub(super) pid: Vec<PidValue>,
    #[serde(deserialize_with = "many")]
    pub(super) exe: Vec<Text>,
    #[serde(deserialize_with = "many")]
    pub(super) cgroup: Vec<Text>,
    #[serde(deserialize_with = "many")]
    pub(super) exclude_pid: Vec<PidValue>,
    #[serde(deserialize_with = "many")]
    pub(super) exclude_exe: Vec<Text>,
    #[serde(deserialize_with = "many")]
    pub(super) exclude_cgroup: Vec<Text>,
    #[serde(deserialize_with = "many")]
    pub(super) listen: Vec<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) node_name: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) probes: Option<Probes>,
    #[serde(deserialize_with = "one")]
    pub(super) probe_budget: Option<Share>,
    #[serde(deserialize_with = "one")]
    pub(super) goroutine_scan_budget: Option<Share>,
    #[serde(deserialize_with = "one")]
    pub(super) top_sites: Option<TopSites>,
    #[serde(deserialize_with = "one")]
    pub(super) max_processes: Option<MaxProcesses>,
    #[serde(deserialize_with = "one")]
    pub(super) max_sites: Option<MaxSites>,
    #[serde(deserialize_with = "one")]
    pub(super) scan_interval: Option<Interval>,
    pub(super) http_dumps: Option<bool>,
    #[serde(deserialize_with = "one")]
    pub(super) web_config: Option<Text>,
    #[serde(deserialize_with = "many")]
    pub(super) http_host: Vec<HostName>,
    #[serde(deserialize_with = "one")]
    pub(super) cri_socket: Option<CriSocket>,
    #[serde(deserialize_with = "one")]
    pub(super) host_root: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) interval: Option<Interval>,
    pub(super) once: Option<bool>,
    #[serde(deserialize_with = "one")]
    pub(super) output: Option<ReportForm>,
    #[serde(deserialize_with = "one")]
    pub(super) settle: Option<Settle>,
    #[serde(rename = "for", deserialize_with = "one")]
    pub(super) lasting: Option<Interval>,
    #[serde(deserialize_with = "many")]
    pub(super) allow: Vec<Text>,
    pub(super) strict: Option<bool>,
    pub(super) ignore_exit: Option<bool>,
    #[serde(deserialize_with = "one")]
    pub(super) report: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) log_format: Option<LogFormat>,
    #[serde(deserialize_with = "one")]
    pub(super) verbose: Option<u8>,
    #[serde(deserialize_with = "one")]
    pub(super) quiet: Option<u8>,
    pub(super) alerts: Option<AlertsConfig>,
    /// Of the commands that look into one process, whose options have meanings of their own.
    pub(super) dump: DumpConfig,
    pub(super) diff: DiffConfig,
    pub(super) trace: TraceConfig,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_endpoint: Option<Endpoint>,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_interval: Option<Interval>,
    #[serde(deserialize_with = "many")]
    pub(super) otlp_header: Vec<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_headers_file: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_ca_file: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_cert_file: Option<Text>,
    #[serde(deserialize_with = "one")]
    pub(super) otlp_key_file: Option<Text>,
}

pub(super) type TopSites = Within<0, 10_000>;
pub(super) type MaxProcesses = Within<1, 1_000_000>;
pub(super) type MaxSites = Within<1, 16_000_000>;

impl Config {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read(path).map_err(|error| {
            Failure::usage(format!("cannot read the configuration {}: {error}", path.display()))
                .hint("give the path of a YAML file with --config")
        })?;
        Self::parse(&text).map_err(|error| {
            let place = error.location().map(|at| format!(":{}:{}", at.line(), at.column()));
            let why = plain(&error);
            // Of a key that is there twice the parser knows only where the whole file begins.
            let place = place.filter(|_| !why.starts_with(TWICE)).unwrap_or_default();
            Failure::usage(format!("configuration {}{place}: {why}", path.display())).hint(
                "`goroscope agent --help` lists the options; the keys are their names with _ for -",
            )
        })
    }

    pub(super) fn parse(text: &str) -> Result<Self, serde_norway::Error> {
        // A file of nothing but comments is no mapping, and says nothing.
        Ok(serde_norway::from_str::<Option<Self>>(text)?.unwrap_or_default())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_LIMIT.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

/// The parser's words, without the place, which stands elsewhere.
fn plain(error: &serde_norway::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    text.replace("unknown field", "unknown key").replace("duplicate field", TWICE)
}

/// A value, read from its text as on the command line.
pub(super) fn one<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Scalar(PhantomData)).map(|Parsed(value)| Some(value))
}

/// A value, or a list of them.
pub(super) fn many<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List(PhantomData))
}

struct Parsed<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(PhantomData))
    }
}

struct Scalar<T>(PhantomData<T>);
struct List<T>(PhantomData<T>);

fn parse<T: FromStr<Err: fmt::Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|why| E::custom(format!("\"{text}\" does not do: {why}")))
}

/// The kinds of values that YAML has, all brought to text.
macro_rules! scalars {
    ($wrap:expr) => {
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            parse(text).map($wrap)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            parse(&number.to_string()).map($wrap)
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
            parse(&number.to_string()).map($wrap)
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
            parse(&number.to_string()).map($wrap)
        }
    };
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Scalar<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    scalars!(Parsed);
}

impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    scalars!(|value| vec![value]);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(Parsed(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_key() {
        let config = Config::parse(
            "pid: [1, 2]\nexe: /opt/*\ncgroup: [/a, /b]\nexclude_pid: 3\nexclude_exe: x\n\
             exclude_cgroup: /c\nlisten:\n  - 127.0.0.1:1\n  - unix:/run/g\nnode_name: n1\nprobes: off\n\
             top_sites: 10\nmax_processes: 100\nmax_sites: 1000\n\
             web_config: /etc/web.yml\nhttp_host: [a.test, \"*\"]\n\
             scan_interval: 500ms\ninterval: 2s\nonce: true\noutput: json\nsettle: 200ms\nfor: 1m\n\
             allow: main.*\nstrict: true\nignore_exit: false\nreport: out.xml\nlog_format: json\ncri_socket: none\nhost_root: /host\nverbose: 2\nquiet: 1\n",
        )
        .unwrap();
        assert_eq!(config.pid, [Within(1), Within(2)]);
        assert_eq!(config.exe, [Text("/opt/*".into())]);
        assert_eq!(config.exclude_pid, [Within(3)]);
        assert_eq!(config.listen.len(), 2);
        assert_eq!(
            (config.web_config, config.http_host.len()),
            (Some(Text("/etc/web.yml".into())), 2)
        );
        assert_eq!(config.node_name, Some(Text("n1".into())));
        assert_eq!(config.probes, Some(Probes::Off));
        assert_eq!(config.scan_interval, Some(Interval(Duration::from_millis(500))));
        assert_eq!(config.interval, Some(Interval(Duration::from_secs(2))));
        assert_eq!(config.once, Some(true));
        assert_eq!(config.settle, Some(Settle(Duration::from_millis(200))));
        assert_eq!(config.lasting, Some(Interval(Duration::from_secs(60))));
        assert_eq!((config.strict, config.ignore_exit), (Some(true), Some(false)));
        assert_eq!((config.allow.len(), config.report), (1, Some(Text("out.xml".into()))));
        assert_eq!(config.cri_socket, Some(CriSocket::Off));
        assert_eq!(config.host_root, Some(Text("/host".into())));
        assert_eq!((config.verbose, config.quiet), (Some(2), Some(1)));
    }

    #[test]
    fn files_that_say_nothing() {
        for text in ["", "# nothing\n", "---\n", "{}\n"] {
            assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text:?}");
        }
    }

    fn error_of(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        let error = Config::read(file.path()).unwrap_err().to_string();
        error.replace(file.path().to_str().unwrap(), "FILE")
    }

    #[test]
    fn errors_name_the_line() {
        for (text, beginning) in [
            ("probes: auto\nlisten_on: x\n", "configuration FILE:2:1: unknown key `listen_on`"),
            ("\n\ntop_sites: many\n", "configuration FILE:3:12: "),
            ("probes: auto\ntop_sites: [1]\n", "configuration FILE:2:12: "),
            ("exe:\n  - a\n  - {b: c}\n", "configuration FILE:3:5: "),
            ("pid: -5\n", "configuration FILE:1:6: "),
            ("a: [\n", "configuration FILE:"),
            ("probes: auto\nprobes: off\n", "configuration FILE: given twice: `probes`"),
            ("- a\n", "configuration FILE:1:1: "),
        ] {
            let error = error_of(text);
            assert!(error.starts_with(beginning), "{text:?}: {error}");
            assert!(!error.contains(" at line "), "{error}");
        }
        assert!(error_of("top_sites: 99999\n").contains("from 0 to 10000"));
    }

    #[test]
    fn what_is_no_configuration() {
        assert!(error_of(&"#".repeat(2 << 20)).contains("1 MiB"));
        let error = Config::read(Path::new("/nonexistent.yaml")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent.yaml"), "{error}");
    }
}
