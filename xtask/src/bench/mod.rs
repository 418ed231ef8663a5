//! `cargo xtask bench`: what watching costs, how soon it begins, and what it finds.

mod bpftrace;
mod dump;
mod example;
mod figures;
mod hundred;
mod inspect;
mod leaks;
mod median;
mod probes;
mod report;
mod scan;
mod sites;
mod start;
mod switches;
mod target;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use goroscope_tests::{
    fixture::{self, Mode},
    requires,
    toolchain::{Go, NEWEST},
};
use std::path::PathBuf;

use crate::{build, setup};

/// What to measure; by default all.
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
    /// What is left of the throughput of three programs while they are watched
    Target(target::Options),
    /// What a look at a million goroutines costs, and the agent with many programs as a whole
    Scan(scan::Options),
    /// What it costs to be ready to read large binaries, and a thousand processes of one
    Inspect(inspect::Options),
    /// What a dump of a hundred thousand goroutines takes, and how long requests stall meanwhile
    Dump,
    /// What fifty thousand creation sites cost the agent and Prometheus
    Sites,
    /// How many kernels of real leaks `check` finds, beside Go's own profile; docs/leak-recall.md
    Leaks,
}

impl What {
    const ALL: [Self; 8] = [
        Self::Probes,
        Self::Start,
        Self::Target(target::Options::DEFAULT),
        Self::Scan(scan::Options::DEFAULT),
        Self::Inspect(inspect::Options::DEFAULT),
        Self::Dump,
        Self::Sites,
        Self::Leaks,
    ];

    /// The name of its section.
    fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Start => "start",
            Self::Target(_) => "target",
            Self::Scan(_) => "scan",
            Self::Inspect(_) => "inspect",
            Self::Dump => "dump",
            Self::Sites => "sites",
            Self::Leaks => "leaks",
        }
    }

    /// A try with other options than the usual ones is not for the documentation.
    fn is_try(self) -> bool {
        match self {
            Self::Probes | Self::Start | Self::Dump | Self::Sites | Self::Leaks => false,
            Self::Target(options) => options != target::Options::DEFAULT,
            Self::Scan(options) => options != scan::Options::DEFAULT,
            Self::Inspect(options) => options != inspect::Options::DEFAULT,
        }
    }

    fn measure(self) -> Result<String> {
        match self {
            Self::Probes => {
                let parts = [probes::measure()?, switches::measure()?, hundred::measure()?];
                Ok(parts.join("\n"))
            }
            Self::Start => start::measure(),
            Self::Target(options) => target::measure(options),
            Self::Scan(options) => scan::measure(options),
            Self::Inspect(options) => inspect::measure(options),
            Self::Dump => dump::measure(),
            Self::Sites => sites::measure(),
            Self::Leaks => leaks::measure(),
        }
    }
}

/// Measures, prints, and writes docs/benchmarks.md; what is found goes into a document of its own.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Err(reason) = requires::kernel() {
        bail!("there is nothing to measure here: {reason}");
    }
    build::release()?;
    setup::go(&[NEWEST])?;
    let wanted = options.what.map_or_else(|| What::ALL.to_vec(), |what| vec![what]);
    for what in wanted {
        let section = what.measure()?;
        println!("\n{section}");
        if what.is_try() {
            println!("not written into docs/benchmarks.md: this was a try with other options");
        } else if matches!(what, What::Leaks) {
            report::document("leak-recall.md", &section)?;
        } else {
            report::write(what.name(), &section)?;
        }
    }
    Ok(())
}

/// A fixture, built with the newest Go.
fn program(name: &str) -> Result<PathBuf> {
    fixture::build(name, &Go::find(NEWEST)?, Mode::Normal)
}
