//! goroscope's tasks: `cargo xtask setup|build|demo|test|bench|record|lint|fuzz|layouts|deploy|dist`.

mod command;
mod setup;
mod build;
mod dist;
mod lint;
mod fuzz;
mod layouts;
mod deploy;
mod test;
mod interrupt;
mod demo;
mod bench;
mod record;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// goroscope's tasks. Each does the set-up it needs and is quick the second time.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the build and the tests need into the user's cache folder
    Setup,
    /// Builds `target/release/goroscope`, the kernel programs inside it
    Build,
    /// Makes what is shipped: static binaries, packages, image, checksums; into target/dist
    Dist(dist::Options),
    /// Starts a Go program that leaks goroutines, watches it, and shows what is seen
    Demo(demo::Options),
    /// Runs lints, unit tests, and the tests against the real kernel
    Test(test::Options),
    /// Measures, and writes the figures into docs/benchmarks.md
    Bench(bench::Options),
    /// Records what real programs look like to the judge, as data for its tests
    Record,
    /// Checks format, lints and documentation
    Lint,
    /// Runs the fuzz targets for a while
    Fuzz(fuzz::Options),
    /// Writes the table of layouts from the Go toolchains, or checks it
    Layouts(layouts::Options),
    /// Writes the files in `deploy` that are made of others there
    Deploy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::all().map(|()| ExitCode::SUCCESS),
        Task::Build => build::release().map(|()| ExitCode::SUCCESS),
        Task::Dist(options) => dist::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Record => record::run().map(|()| ExitCode::SUCCESS),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Lint => lint::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Layouts(options) => layouts::run(&options),
        Task::Deploy => deploy::run().map(|()| ExitCode::SUCCESS),
    }
}
