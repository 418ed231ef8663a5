//! Options of `goroscope dump`.

use std::{path::PathBuf, str::FromStr};

use clap::{ArgMatches, Args, builder::BoolishValueParser, parser::ValueSource};
use serde::Deserialize;

use crate::{
    cli::{
        args::split,
        config::{many, one},
        value::{Hold, PidValue, Text, Within},
    },
    dumps::Format,
    read::State,
};

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The process
    #[arg(value_name = "PID")]
    pub(super) pid: PidValue,
    /// Form of the dump [default: text]
    #[arg(long, value_name = "FORM", env = "GOROSCOPE_DUMP_FORMAT", hide_env_values = true)]
    pub(super) format: Option<Format>,
    /// Write it to this file, and a summary to stderr
    #[arg(short, long, value_name = "FILE", env = "GOROSCOPE_DUMP_OUTPUT", hide_env_values = true)]
    pub(super) output: Option<PathBuf>,
    /// Print the summary instead of the dump: goroutines with the same stack, the most first
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_DUMP_SUMMARY",
        hide_env_values = true
    )]
    pub(super) summary: Option<bool>,
    /// Also the runtime's own goroutines (garbage collector and the like), which json always has
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_DUMP_SYSTEM",
        hide_env_values = true
    )]
    pub(super) system: Option<bool>,
    #[command(flatten)]
    pub(super) only: OnlyArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which goroutines (those that meet all that is asked)")]
pub(super) struct OnlyArgs {
    /// In this state: runnable, running, syscall, waiting, copystack, preempted or leaked;
    /// repeatable
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        env = "GOROSCOPE_DUMP_STATE",
        hide_env_values = true
    )]
    pub(super) state: Vec<StateName>,
    /// Waiting for this, in the runtime's own words, as "chan receive"; repeatable
    #[arg(
        long,
        value_name = "REASON",
        value_delimiter = ',',
        env = "GOROSCOPE_DUMP_REASON",
        hide_env_values = true
    )]
    pub(super) reason: Vec<Text>,
    /// With such a function on the stack: * stands for anything; repeatable
    #[arg(long, value_name = "GLOB", env = "GOROSCOPE_DUMP_FUNCTION", hide_env_values = true)]
    pub(super) function: Vec<Text>,
    /// Waiting for so long at least; how long is known once the program has collected garbage
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_DUMP_MIN_WAIT", hide_env_values = true)]
    pub(super) min_wait: Option<Hold>,
    /// Created by such a function, or at such a place (file.go:12): * stands for anything;
    /// repeatable
    #[arg(long, value_name = "GLOB", env = "GOROSCOPE_DUMP_SITE", hide_env_values = true)]
    pub(super) site: Vec<Text>,
    /// At most so many, those with the lowest numbers
    #[arg(long, value_name = "N", env = "GOROSCOPE_DUMP_LIMIT", hide_env_values = true)]
    pub(super) limit: Option<Count>,
}

impl OnlyArgs {
    /// How many goroutines are shown at most.
    pub(super) fn limit(&self) -> usize {
        self.limit.and_then(|most| usize::try_from(most.0).ok()).unwrap_or(usize::MAX)
    }
}

/// A number of goroutines.
pub(super) type Count = Within<0, { u32::MAX }>;

/// The key `dump` of the configuration file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct DumpConfig {
    #[serde(deserialize_with = "one")]
    format: Option<Format>,
    #[serde(deserialize_with = "one")]
    output: Option<Text>,
    summary: Option<bool>,
    system: Option<bool>,
    #[serde(deserialize_with = "many")]
    state: Vec<StateName>,
    #[serde(deserialize_with = "many")]
    reason: Vec<Text>,
    #[serde(deserialize_with = "many")]
    function: Vec<Text>,
    #[serde(deserialize_with = "one")]
    min_wait: Option<Hold>,
    #[serde(deserialize_with = "many")]
    site: Vec<Text>,
    #[serde(deserialize_with = "one")]
    limit: Option<Count>,
}

impl DumpArgs {
    /// An environment variable holds a list; what the line asks for is closer than a variable.
    pub(in crate::cli) fn settle_sources(&mut self, matches: &ArgMatches) {
        let from_environment = |id| matches.value_source(id) == Some(ValueSource::EnvVariable);
        for (id, values) in [("function", &mut self.only.function), ("site", &mut self.only.site)] {
            if from_environment(id) {
                *values = values.iter().flat_map(|text| split(&text.0)).collect();
            }
        }
        if from_environment("output")
            && matches.value_source("summary") == Some(ValueSource::CommandLine)
        {
            self.output = None;
        }
    }

    /// What neither the line nor the environment says is as the file has it.
    pub(in crate::cli) fn or(mut self, config: DumpConfig) -> Self {
        // A summary that was asked for goes to the terminal, whatever file is usual.
        if self.summary != Some(true) {
            self.output = self.output.or(config.output.map(|text| text.0.into()));
        }
        if self.output.is_none() {
            self.summary = self.summary.or(config.summary);
        }
        self.format = self.format.or(config.format);
        self.system = self.system.or(config.system);
        let only = &mut self.only;
        only.min_wait = only.min_wait.or(config.min_wait);
        only.limit = only.limit.or(config.limit);
        if only.state.is_empty() {
            only.state = config.state;
        }
        for (ours, theirs) in [
            (&mut only.reason, config.reason),
            (&mut only.function, config.function),
            (&mut only.site, config.site),
        ] {
            if ours.is_empty() {
                *ours = theirs;
            }
        }
        self
    }
}

/// A state of a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateName(pub(super) State);

impl FromStr for StateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .map(Self)
            .ok_or_else(|| format!("one of {} is needed", State::ALL.map(State::as_str).join(", ")))
    }
}
