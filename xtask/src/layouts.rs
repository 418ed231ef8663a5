//! `cargo xtask layouts`: the table of layouts of the runtime's records, from the Go toolchains.
//!
//! The work is done by a test of the agent, `agent/tests/layouts.rs`, because it reads the layouts
//! as the agent does.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Args;
use goroscope_tests::toolchain;

use crate::{command, setup};

/// Where the table comes from.
#[derive(Args)]
#[command(after_long_help = "Writes agent/data/layouts.txt: sizes and offsets of the records of \
    Go's runtime, for binaries without DWARF.\n\nFor each release, for amd64 and arm64, builds a \
    small program with the release's toolchain and reads the layout from its DWARF; and again for \
    each GOEXPERIMENT that the toolchain knows, to tell those that change the layout from the \
    others. The first time that takes long: about 200 builds of the runtime; later they come from \
    Go's build cache.\n\nReleases: those that `cargo xtask setup` installs, and Go 1.19 where the \
    distribution has it (/usr/lib/go-1.19). What there is no toolchain for stays as it is.")]
pub(crate) struct Options {
    /// Compare only: exit status 1 where the committed file is not what would be written
    #[arg(long)]
    check: bool,
    /// A further toolchain (its GOROOT), for example of Go 1.19; repeatable
    #[arg(long, value_name = "PATH")]
    goroot: Vec<PathBuf>,
}

/// Writes or compares the table.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    for root in &options.goroot {
        ensure!(root.join("bin/go").is_file(), "{} has no bin/go", root.display());
    }
    setup::for_build()?;
    setup::go(&toolchain::VERSIONS)?;
    let mut cargo = command::cargo();
    cargo
        .env("GOROSCOPE_LAYOUTS", if options.check { "check" } else { "write" })
        .args(["test", "--quiet", "-p", "goroscope", "--test", "layouts"])
        .args(["--", "--exact", "--nocapture", "the_whole_table"]);
    if !options.goroot.is_empty() {
        cargo.env("GOROSCOPE_GOROOTS", env::join_paths(&options.goroot)?);
    }
    command::run(&mut cargo)?;
    let outcome = if options.check { "is up to date" } else { "was written" };
    println!("agent/data/layouts.txt {outcome}");
    Ok(ExitCode::SUCCESS)
}
