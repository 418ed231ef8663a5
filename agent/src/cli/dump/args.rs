//! Options of `goroscope dump`.

use std::{path::PathBuf, str::FromStr};

use clap::Args;

use crate::{
    cli::value::{Hold, PidValue, Text},
    dumps::Format,
    read::State,
};

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The process
    #[arg(value_name = "PID")]
    pub(super) pid: PidValue,
    /// Form of the dump
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(super) format: Format,
    /// Write it to this file, and a summary to stderr
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Print the summary instead of the dump: goroutines with the same stack, the most first
    #[arg(long, conflicts_with = "output")]
    pub(super) summary: bool,
    /// Also the runtime's own goroutines (garbage collector and the like), which json always has
    #[arg(long)]
    pub(super) system: bool,
    #[command(flatten)]
    pub(super) only: OnlyArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which goroutines (those that meet all that is asked)")]
pub(super) struct OnlyArgs {
    /// In this state: runnable, running, syscall, waiting, copystack, preempted or leaked;
    /// repeatable
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub(super) state: Vec<StateName>,
    /// Waiting for this, in the runtime's own words, as "chan receive"; repeatable
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub(super) reason: Vec<Text>,
    /// With such a function on the stack: * stands for anything; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(super) function: Vec<Text>,
    /// Waiting for so long at least; how long is known once the program has collected garbage
    #[arg(long, value_name = "TIME")]
    pub(super) min_wait: Option<Hold>,
    /// Created by such a function, or at such a place (file.go:12): * stands for anything;
    /// repeatable
    #[arg(long, value_name = "GLOB")]
    pub(super) site: Vec<Text>,
    /// At most so many, those with the lowest numbers
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
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
