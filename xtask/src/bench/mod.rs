//! `cargo xtask bench`: what watching costs, and how soon it begins.

mod bpftrace;
mod hundred;
mod median;
mod probes;
mod report;
mod start;
mod switches;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use goroscope_tests::{
    fixture::{self, Mode},
    requires,
    toolchain::{Go, NEWEST},
};
use std::path::PathBuf;

use crate::{build, setup};

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Clone, Copy, Subcommand)]
enum What {
    /// What the probes cost the target, what the kernel's scheduler pays, what the agent itself uses
    Probes,
    /// How soon a process is probed that starts, or that execs
    Start,
}

/// Measures, prints, and writes docs/benchmarks.md.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Err(reason) = requires::kernel() {
        bail!("there is nothing to measure here: {reason}");
    }
    build::release()?;
    setup::go(&[NEWEST])?;
    let wanted = options.what.map_or_else(|| vec![What::Probes, What::Start], |what| vec![what]);
    for what in wanted {
        let (name, section) = match what {
            What::Probes => {
                let parts = [probes::measure()?, switches::measure()?, hundred::measure()?];
                ("probes", parts.join("\n"))
            }
            What::Start => ("start", start::measure()?),
        };
        println!("\n{section}");
        report::write(name, &section)?;
    }
    Ok(())
}

/// A fixture, built with the newest Go.
fn program(name: &str) -> Result<PathBuf> {
    fixture::build(name, &Go::find(NEWEST)?, Mode::Normal)
}
