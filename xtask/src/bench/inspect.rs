//! What it costs to be ready to read the processes of a binary, and that it is paid once.

mod binaries;
mod once;
mod ready;

use anyhow::Result;
use clap::Args;

/// How much to measure.
#[derive(Args, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    /// Inspections of each binary, each in a process of its own
    #[arg(long, default_value_t = Self::DEFAULT.rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Processes of one binary
    #[arg(long, default_value_t = Self::DEFAULT.processes, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
}

impl Options {
    pub(super) const DEFAULT: Self = Self { rounds: 9, processes: 1000 };
}

/// Measures, and gives the section.
pub(super) fn measure(options: Options) -> Result<String> {
    let ready = ready::measure(options.rounds)?;
    let once = once::measure(options.processes)?;
    Ok(format!("{ready}\n{once}"))
}
