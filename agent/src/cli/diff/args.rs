//! Options of `goroscope diff`.

use std::path::PathBuf;

use clap::{ArgMatches, Args, parser::ValueSource};
use serde::Deserialize;

use crate::cli::{
    args::Cli,
    config::one,
    value::{By, DiffForm, Interval, Text, Within},
};

const DEFAULT_LIMIT: u32 = 20;

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier dump; or a process id, where there is no second
    #[arg(value_name = "FILE|PID")]
    pub(super) first: PathBuf,
    /// The later dump
    #[arg(value_name = "FILE")]
    pub(super) second: Option<PathBuf>,
    /// Time between two dumps of a process [default: 10s]
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_DIFF_INTERVAL", hide_env_values = true)]
    pub(super) interval: Option<Interval>,
    /// What goroutines are put together by in a table [default: site]
    #[arg(long, value_name = "WHAT", env = "GOROSCOPE_DIFF_BY", hide_env_values = true)]
    pub(super) by: Option<By>,
    /// Show at most so many changes, those that grew most [default: 20]
    #[arg(long, value_name = "N", env = "GOROSCOPE_DIFF_LIMIT", hide_env_values = true)]
    pub(super) limit: Option<Count>,
    /// Form of the output [default: table]
    #[arg(short, long, value_name = "FORM", env = "GOROSCOPE_DIFF_OUTPUT", hide_env_values = true)]
    pub(super) output: Option<DiffForm>,
    /// Write it to this file, and a summary to stderr
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_DIFF_OUTPUT_FILE", hide_env_values = true)]
    pub(super) output_file: Option<PathBuf>,
}

/// A number of changes.
pub(super) type Count = Within<0, { u32::MAX }>;

/// The key `diff` of the configuration file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct DiffConfig {
    #[serde(deserialize_with = "one")]
    interval: Option<Interval>,
    #[serde(deserialize_with = "one")]
    by: Option<By>,
    #[serde(deserialize_with = "one")]
    limit: Option<Count>,
    #[serde(deserialize_with = "one")]
    output: Option<DiffForm>,
    #[serde(deserialize_with = "one")]
    output_file: Option<Text>,
}

impl DiffArgs {
    /// How many changes are shown at most.
    pub(super) fn limit(&self) -> usize {
        let most = self.limit.map_or(DEFAULT_LIMIT, |most| most.0);
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// An interval is nothing to two files: said on the line it is a mistake, else it is not meant.
    pub(in crate::cli) fn settle_sources(
        &mut self,
        matches: &ArgMatches,
    ) -> Result<(), clap::Error> {
        if self.second.is_some() && self.interval.is_some() {
            if matches.value_source("interval") == Some(ValueSource::CommandLine) {
                return Err(Cli::conflict("give either --interval or a second file, not both"));
            }
            self.interval = None;
        }
        Ok(())
    }

    /// What neither the line nor the environment says is as the file has it.
    pub(in crate::cli) fn or(self, config: DiffConfig) -> Self {
        let interval = self.interval.or(config.interval.filter(|_| self.second.is_none()));
        Self {
            interval,
            by: self.by.or(config.by),
            limit: self.limit.or(config.limit),
            output: self.output.or(config.output),
            output_file: self.output_file.or(config.output_file.map(|text| text.0.into())),
            ..self
        }
    }
}
