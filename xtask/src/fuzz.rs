//! `cargo xtask fuzz`: what is read of programs and processes, with whatever in them.
//!
//! The targets are in `tests/fuzz`. They are built by `cargo-fuzz` with the compiler that the
//! workspace pins, which takes the sanitizer's flags only with `RUSTC_BOOTSTRAP`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use goroscope_tests::{
    fixture, requires,
    toolchain::{self, Go},
    workspace,
};

use crate::{command, setup};

/// What to fuzz.
#[derive(Args)]
#[command(after_long_help = "Runs the fuzz targets of tests/fuzz one after the other; fails with \
    the first that finds something, and names the file that reproduces it.\n\nThe targets are \
    built with AddressSanitizer and with checks of arithmetic, into target/fuzz. What they learn \
    stays in target/fuzz/corpus; findings go to target/fuzz/findings.")]
pub(crate) struct Options {
    /// Targets to run; all, when none is named
    targets: Vec<Target>,
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Run the one target named on this file only, once: to look at a finding again
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// A fuzz target: a binary of `tests/fuzz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Names, creation sites, inlined calls and lines by the function table
    FunctionTable,
    /// Version, module and settings of a program
    BuildInfo,
    /// Files and lines by DWARF
    DwarfLines,
    /// Layouts of the runtime's records by DWARF
    DwarfTypes,
    /// The runtime's records in a process: goroutines, counts, heap, collector, histograms
    Runtime,
    /// Goroutine dumps in every form that is read, ours and Go's
    DumpForms,
    /// Real programs of several releases, changed anywhere
    GoBinary,
}

impl Target {
    /// Its name.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Every target.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

/// Why fuzzing is not possible here; `None` where it is.
pub(crate) fn impossible() -> Option<String> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let there = Path::new(&compiler).is_file() || requires::command(&compiler).is_ok();
    (!there).then(|| format!("libFuzzer needs a C++ compiler, and there is no {compiler}"))
}

/// Runs the targets.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(reason) = impossible() {
        bail!("{reason} (Debian: apt-get install g++)");
    }
    let named = !options.targets.is_empty();
    let targets = if named { &options.targets[..] } else { Target::all() };
    setup::for_build()?;
    setup::go(&toolchain::VERSIONS)?;
    let fuzzer = Fuzzer::build()?;
    if let Some(input) = &options.input {
        let [target] = targets else { bail!("--input needs the one target that it is for") };
        let input = input.canonicalize().with_context(|| input.display().to_string())?;
        command::run(fuzzer.command(*target)?.arg(input))?;
        return Ok(ExitCode::SUCCESS);
    }
    for target in targets {
        println!("{}: running for {} s", target.name(), options.seconds);
        println!("{}: {}", target.name(), fuzzer.run(*target, options.seconds)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The targets, built.
pub(crate) struct Fuzzer {
    binaries: PathBuf,
}

impl Fuzzer {
    /// Builds all targets.
    pub(crate) fn build() -> Result<Self> {
        let program = setup::for_fuzzing()?;
        let host = command::output(rustc().arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("`rustc -vV` names no host")?;
        let folder = folder();
        let mut build = Command::new(program);
        build
            .current_dir(workspace::root())
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("CARGO_TARGET_DIR")
            .args(["fuzz", "build", "--fuzz-dir", "tests/fuzz", "--target", host])
            .args(["--sanitizer", sanitizer(host)?])
            .arg("--target-dir")
            .arg(&folder);
        command::run(&mut build)?;
        Ok(Self { binaries: folder.join(host).join("release") })
    }

    /// Runs a target for some seconds; gives a line on what was done.
    ///
    /// # Errors
    /// What was found, and the file that reproduces it.
    pub(crate) fn run(&self, target: Target, seconds: u32) -> Result<String> {
        let name = target.name();
        let corpus = folder().join("corpus").join(&name);
        let findings = folder().join("findings").join(&name);
        for folder in [&corpus, &findings] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(findings.join(""));
        let output = self
            .command(target)?
            .arg(prefix)
            .arg(format!("-max_total_time={seconds}"))
            .args(["-print_final_stats=1", "-max_len=512", "-len_control=0"])
            .arg(&corpus)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting the fuzz target {name}"))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let executions = after(&log, "stat::number_of_executed_units:").unwrap_or("?");
            return Ok(format!("{executions} executions, nothing found"));
        }
        log.lines().for_each(|line| println!("  {line}"));
        match after(&log, "Test unit written to ") {
            Some(file) => bail!(
                "the fuzz target {name} found something: {file}; look at it again with \
                 `cargo xtask fuzz {name} --input {file}`"
            ),
            None => bail!("the fuzz target {name} ended abnormally ({})", output.status),
        }
    }

    /// The target's command, with its bounds: memory in MiB, seconds for one input.
    fn command(&self, target: Target) -> Result<Command> {
        let mut command = Command::new(self.binaries.join(target.name()));
        command
            .args(["-rss_limit_mb=1024", "-malloc_limit_mb=256", "-timeout=10"])
            // What lives for as long as the process is no leak.
            .args(["-detect_leaks=0"])
            .env("ASAN_OPTIONS", "detect_leaks=0:detect_odr_violation=0");
        if target == Target::GoBinary {
            command.env("GOROSCOPE_FUZZ_PROGRAMS", env::join_paths(programs()?)?);
        }
        Ok(command)
    }
}

/// Builds programs of several releases, one for each form that there is. Debug information is not
/// compressed: unpacking it would take most of the time, and changes of it would not be read.
fn programs() -> Result<Vec<PathBuf>> {
    let plain = "-ldflags=-compressdwarf=false";
    let kinds = [
        ("1.21.13", "amd64", plain, "exe"),
        ("1.24.11", "amd64", "-ldflags=-s -w", "pie"),
        ("1.26.6", "arm64", plain, "pie"),
        ("1.27.3", "amd64", plain, "exe"),
        ("1.27.3", "arm64", "-ldflags=-s -w", "exe"),
    ];
    let folder = folder().join("programs");
    let mut paths = Vec::new();
    for (version, arch, flags, mode) in kinds {
        let path = folder.join(format!("{version}-{arch}-{mode}"));
        let mut go = Go::find(version)?.command()?;
        go.current_dir(fixture::sources())
            .env("GOARCH", arch)
            .env("CGO_ENABLED", "0")
            .args(["build", "-buildvcs=false", "-buildmode", mode, flags, "-o"])
            .arg(&path)
            .arg("./short");
        command::run(&mut go)?;
        paths.push(path);
    }
    Ok(paths)
}

/// AddressSanitizer where the compiler brings its runtime.
fn sanitizer(host: &str) -> Result<&'static str> {
    let root = command::output(rustc().args(["--print", "sysroot"]))?;
    let libraries = Path::new(&root).join("lib/rustlib").join(host).join("lib");
    let entries =
        fs::read_dir(&libraries).with_context(|| format!("listing {}", libraries.display()))?;
    let found = entries
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().contains("_rt.asan"));
    Ok(if found { "address" } else { "none" })
}

fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(workspace::root());
    command
}

/// Where the targets are built, and what they find is put.
fn folder() -> PathBuf {
    workspace::target().join("fuzz")
}

/// What follows `label` in the last line that has it.
fn after<'a>(log: &'a str, label: &str) -> Option<&'a str> {
    log.lines().rev().find_map(|line| Some(line.split_once(label)?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_executions_and_findings() {
        let log = "#1 INITED\nartifact_prefix='/f/'; Test unit written to /f/crash-1\n\
                   stat::number_of_executed_units: 12\nstat::average_exec_per_sec:     0\n";
        assert_eq!(after(log, "Test unit written to "), Some("/f/crash-1"));
        assert_eq!(after(log, "stat::number_of_executed_units:"), Some("12"));
        assert_eq!(after(log, "no such label"), None);
    }

    #[test]
    fn every_target_is_a_binary_of_the_fuzz_package() {
        let folder = workspace::root().join("tests/fuzz/fuzz_targets");
        let mut names: Vec<_> = Target::all().iter().map(|target| target.name()).collect();
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<_> = files
            .map(|name| name.into_string().unwrap().strip_suffix(".rs").unwrap().to_owned())
            .collect();
        names.sort();
        files.sort();
        assert_eq!(names, files);
    }
}
