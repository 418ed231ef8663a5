//! What it costs to look at all goroutines: one look, and the agent as a whole.

mod look;
mod whole;

use anyhow::Result;
use clap::Args;
use goroscope_tests::speaker::Speaker;

use super::program;

/// How long to measure.
#[derive(Args, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    /// Rounds in which scans and bare reads take turns
    #[arg(long, default_value_t = Self::DEFAULT.rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For how many seconds the agent as a whole is watched
    #[arg(long, default_value_t = Self::DEFAULT.seconds, value_parser = clap::value_parser!(u32).range(5..))]
    seconds: u32,
}

impl Options {
    pub(super) const DEFAULT: Self = Self { rounds: 9, seconds: 60 };
}

/// Goroutines of a large program, and of a usual one.
const MANY: u32 = 1_000_000;
const USUAL: u32 = 1_000;

/// Measures, and gives the section.
pub(super) fn measure(options: Options) -> Result<String> {
    let many = parked(MANY)?;
    let look = look::measure(&many, options.rounds)?;
    let whole = whole::measure(many, options.seconds)?;
    Ok(format!("{look}\n{whole}"))
}

/// Starts a program with so many goroutines that wait.
fn parked(goroutines: u32) -> Result<Speaker> {
    Speaker::start(&program("parked")?, &[goroutines.to_string()])
}
