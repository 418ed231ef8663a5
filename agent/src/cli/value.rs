//! Values of options that are more than text, read alike from options, environment and file.

use std::{fmt, str::FromStr, time::Duration};

use clap::ValueEnum;

use crate::run::settings::ProbesMode;

/// A number between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within<const LEAST: u32, const MOST: u32>(pub(super) u32);

impl<const LEAST: u32, const MOST: u32> FromStr for Within<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            _ => Err(format!("a number from {LEAST} to {MOST} is needed")),
        }
    }
}

/// The name of a host, without a port; `*` for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl FromStr for HostName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let named = !text.is_empty() && text.len() <= 253 && text.chars().all(fits);
        if named || text == "*" {
            return Ok(Self(text.to_owned()));
        }
        Err("the name of a host is needed, without a port, or * for any")
    }
}

/// A process id.
pub(super) type PidValue = Within<1, { u32::MAX }>;

/// A time span: `10s`, `1m 30s`, `500ms`; a bare number means seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval(pub(super) Duration);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LEAST: Duration = Duration::from_millis(100);
        match span(text) {
            Some(interval) if (LEAST..=LONGEST_SPAN).contains(&interval) => Ok(Self(interval)),
            _ => Err("a time span from 100ms to 1h is needed, as 10s or 500ms".to_owned()),
        }
    }
}

/// For how long something has to be so: as [`Interval`], from nothing to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold(pub(super) Duration);

impl FromStr for Hold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: Duration = Duration::from_secs(24 * 3600);
        match span(text) {
            Some(hold) if hold <= MOST => Ok(Self(hold)),
            _ => Err("a time span from 0s to 24h is needed, as 30s or 5m".to_owned()),
        }
    }
}

/// A time span that may be shorter, down to `10ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settle(pub(super) Duration);

impl FromStr for Settle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LEAST: Duration = Duration::from_millis(10);
        match span(text) {
            Some(settle) if (LEAST..=LONGEST_SPAN).contains(&settle) => Ok(Self(settle)),
            _ => Err("a time span from 10ms to 1h is needed, as 1s or 200ms".to_owned()),
        }
    }
}

const LONGEST_SPAN: Duration = Duration::from_secs(3600);

/// Reads a time span; a bare number means seconds.
fn span(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let span: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(span).ok()
}

/// A share of one core: `1%`, `0.5%`; a bare number means percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        match number.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent / 100.0)),
            _ => Err("a share of one core from 0% to 100% is needed, as 1% or 0.5%".to_owned()),
        }
    }
}

/// Text that is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

/// Declares a value of a few words, with the same words everywhere.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$help:meta])* $variant:ident = $word:literal),+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(super) enum $name { $($(#[$help])* #[value(name = $word)] $variant),+ }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("one of {} is needed", [$($word),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words! {
    /// Whether uprobes are attached.
    Probes {
        /// Where that is possible; where it is not, the reason is shown
        Auto = "auto",
        /// The agent refuses to start where that is not possible
        Always = "always",
        /// Never: no uprobe, and no need of CAP_SYS_ADMIN
        Off = "off"
    }
}

words! {
    /// Form of a list.
    Output {
        /// For people
        Table = "table",
        /// For programs
        Json = "json"
    }
}

words! {
    /// Form of a report.
    ReportForm {
        /// For people
        Table = "table",
        /// For programs
        Json = "json",
        /// For CI servers: a suite for each process, a failed test for each leak
        Junit = "junit",
        /// For GitHub: annotations beside the lines of the source
        Github = "github"
    }
}

words! {
    /// Form of a difference.
    DiffForm {
        /// For people
        Table = "table",
        /// For programs
        Json = "json",
        /// A flame graph: red is what grew, blue what shrank
        Svg = "svg",
        /// For flame graphs: a line for each stack, with both numbers
        Folded = "folded"
    }
}

words! {
    /// What goroutines are put together by.
    By {
        /// The go statement that created them
        Site = "site",
        /// Their stack
        Stack = "stack"
    }
}

impl ReportForm {
    /// The form of a list that is closest; `None` where none is.
    pub(super) fn of_list(self) -> Option<Output> {
        match self {
            Self::Table => Some(Output::Table),
            Self::Json => Some(Output::Json),
            Self::Junit | Self::Github => None,
        }
    }
}

impl From<Output> for ReportForm {
    fn from(output: Output) -> Self {
        match output {
            Output::Table => Self::Table,
            Output::Json => Self::Json,
        }
    }
}

words! {
    /// Form of the log on stderr.
    LogFormat {
        /// For people
        Text = "text",
        /// For programs: an object a line
        Json = "json"
    }
}

impl From<Probes> for ProbesMode {
    fn from(probes: Probes) -> Self {
        match probes {
            Probes::Auto => Self::Auto,
            Probes::Always => Self::Always,
            Probes::Off => Self::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!("5".parse(), Ok(Within::<1, 5>(5)));
        for text in ["0", "6", "-1", "x", "", "1.5", "99999999999"] {
            assert!(text.parse::<Within<1, 5>>().is_err(), "{text}");
        }
    }

    #[test]
    fn intervals() {
        for (text, millis) in [
            ("10s", 10_000),
            ("10", 10_000),
            ("0.5", 500),
            ("500ms", 500),
            ("1m 30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(text.parse(), Ok(Interval(Duration::from_millis(millis))), "{text}");
        }
        for text in ["0", "-5s", "99ms", "2h", "soon", "", "NaN", "1e300", "10 parsecs"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }

    #[test]
    fn holds() {
        for (text, seconds) in [("0s", 0), ("0", 0), ("30s", 30), ("24h", 86_400)] {
            assert_eq!(text.parse(), Ok(Hold(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "-1s", "25h", "long"] {
            assert!(text.parse::<Hold>().is_err(), "{text}");
        }
    }

    #[test]
    fn settling_times() {
        for (text, millis) in [("10ms", 10), ("0.02", 20), ("1s", 1000), ("1h", 3_600_000)] {
            assert_eq!(text.parse(), Ok(Settle(Duration::from_millis(millis))), "{text}");
        }
        for text in ["0", "9ms", "2h", "-1s", "never"] {
            assert!(text.parse::<Settle>().is_err(), "{text}");
        }
    }

    #[test]
    fn forms_of_lists_are_forms_of_reports() {
        for output in Output::value_variants() {
            assert_eq!(ReportForm::from(*output).of_list(), Some(*output));
        }
        assert_eq!(ReportForm::Junit.of_list(), None);
    }

    #[test]
    fn shares() {
        for (text, share) in
            [("1%", 0.01), ("1", 0.01), ("0.5 %", 0.005), ("0", 0.0), ("100%", 1.0)]
        {
            assert_eq!(text.parse(), Ok(Share(share)), "{text}");
        }
        for text in ["", "%", "-1%", "101%", "NaN", "inf", "half"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn words() {
        assert_eq!("off".parse(), Ok(Probes::Off));
        let error = "on".parse::<Probes>().unwrap_err();
        assert!(error.contains("auto, always, off"), "{error}");
        for probes in Probes::value_variants() {
            assert_eq!(probes.to_string().parse(), Ok(*probes));
            assert!(probes.to_possible_value().unwrap().matches(&probes.to_string(), false));
        }
    }
}
