//! Options of `goroscope diff`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::value::{By, DiffForm, Interval};

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier dump; or a process id, where there is no second
    #[arg(value_name = "FILE|PID")]
    pub(super) first: PathBuf,
    /// The later dump
    #[arg(value_name = "FILE")]
    pub(super) second: Option<PathBuf>,
    /// Time between two dumps of a process [default: 10s]
    #[arg(long, value_name = "TIME", conflicts_with = "second")]
    pub(super) interval: Option<Interval>,
    /// What goroutines are put together by in a table
    #[arg(long, value_name = "WHAT", default_value = "site")]
    pub(super) by: By,
    /// Show at most so many changes, those that grew most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(super) output: DiffForm,
    /// Write it to this file, and a summary to stderr
    #[arg(long, value_name = "FILE")]
    pub(super) output_file: Option<PathBuf>,
}
