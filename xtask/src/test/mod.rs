//! `cargo xtask test`: lints, unit tests, the tests against the real kernel, and the fuzz targets for a
//! short while, in one count.

mod tally;
mod binaries;
mod packages;
mod runner;

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use goroscope_tests::{toolchain, workspace};

use crate::{
    build, command,
    fuzz::{self, Fuzzer, Target},
    lint, setup,
};
use binaries::Kind;
use packages::Packages;
use tally::Tally;

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// Parts to run; all, when none is named
    parts: Vec<Part>,
    /// Run only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Format, clippy, documentation
    Lint,
    /// Unit tests and examples in the documentation
    Unit,
    /// Tests that need the real kernel and real Go programs
    Kernel,
    /// Each fuzz target for a short while
    Fuzz,
}

/// How long a fuzz target runs, in seconds.
const FUZZING: u32 = 10;

/// Runs the tests; the last line has the counts.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let wanted = |part: Part| options.parts.is_empty() || options.parts.contains(&part);
    setup::for_build()?;
    if wanted(Part::Unit) || wanted(Part::Kernel) || wanted(Part::Fuzz) {
        setup::go(&toolchain::VERSIONS)?;
        setup::debian()?;
    }
    // Parts of names are for quick runs, which take what is there.
    let packages =
        (wanted(Part::Kernel) && options.filter.is_none()).then(Packages::begin).transpose()?;
    let mut tally = Tally::default();
    if wanted(Part::Lint) {
        lints(&mut tally);
    }
    let skips = workspace::target().join("skipped-tests");
    fs::create_dir_all(workspace::target())?;
    let mut runner = runner::Runner {
        skips,
        goroscope: PathBuf::new(),
        filter: options.filter.clone(),
        stream: false,
    };
    if wanted(Part::Unit) {
        binaries::all(&mut tally, |binary| binary.kind == Kind::Unit)
            .iter()
            .for_each(|binary| runner.run(binary, &mut tally));
        if options.filter.is_none() {
            documentation(&mut tally);
        }
    }
    if wanted(Part::Kernel) {
        match build::release() {
            Ok(()) => tally.passed += 1,
            Err(error) => tally.failure("build::release", &format!("{error:#}")),
        }
        runner.goroscope = workspace::target().join("release/goroscope");
        runner.stream = true;
        let all = binaries::all(&mut tally, |binary| binary.kind == Kind::Kernel);
        let (last, first): (Vec<_>, Vec<_>) = all.iter().partition(|b| packages::are_tried_by(b));
        first.into_iter().for_each(|binary| runner.run(binary, &mut tally));
        match packages.map(Packages::finish) {
            Some(Ok(())) => tally.passed += 1,
            Some(Err(error)) => tally.failure("build::dist", &format!("{error:#}")),
            None => {}
        }
        last.into_iter().for_each(|binary| runner.run(binary, &mut tally));
    }
    if wanted(Part::Fuzz) {
        fuzzing(options.filter.as_deref().unwrap_or_default(), &mut tally);
    }
    Ok(tally.finish())
}

/// Each fuzz target counts as one test.
fn fuzzing(filter: &str, tally: &mut Tally) {
    let named = Target::all().iter().map(|target| (*target, format!("fuzz::{}", target.name())));
    let targets: Vec<_> = named.filter(|(_, name)| name.contains(filter)).collect();
    if targets.is_empty() {
        return;
    }
    if let Some(reason) = fuzz::impossible() {
        tally.skipped.extend(targets.into_iter().map(|(_, name)| (name, reason.clone())));
        return;
    }
    let fuzzer = match Fuzzer::build() {
        Ok(fuzzer) => fuzzer,
        Err(error) => return tally.failure("build::fuzz", &format!("{error:#}")),
    };
    for (target, name) in targets {
        match fuzzer.run(target, FUZZING) {
            Ok(outcome) => {
                println!("{name}: passed ({outcome})");
                tally.passed += 1;
            }
            Err(error) => tally.failure(&name, &format!("{error:#}")),
        }
    }
}

fn lints(tally: &mut Tally) {
    for mut step in lint::steps() {
        let start = Instant::now();
        let result = command::run(&mut step.command);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("{}: passed ({seconds:.1} s)", step.name);
                tally.passed += 1;
            }
            Err(error) => tally.failure(step.name, &format!("{error:#}")),
        }
    }
}

/// Examples in the documentation: cargo itself runs those.
fn documentation(tally: &mut Tally) {
    let mut cargo = command::cargo();
    cargo.args(["test", "--quiet", "--doc", "--workspace"]);
    match command::output(&mut cargo) {
        Ok(output) => {
            for line in output.lines() {
                if let Some(counts) = tally::counts(line) {
                    tally.passed += counts.passed;
                    tally.failed += counts.failed;
                }
            }
        }
        Err(error) => tally.failure("documentation examples", &format!("{error:#}")),
    }
}
