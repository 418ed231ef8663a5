//! Layouts from a Go toolchain: of programs that it builds.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope::{
    inspect::inspect,
    read::{
        layout::{Fact, Layout, LayoutError, Source, dwarf::RuntimeTypes, table::Build},
        release::{Arch, Minor, Release},
    },
};
use goroscope_tests::toolchain::{Go, WITH_DEBIAN};

use super::blocks::{Entry, Facts};

/// Experiments that the compiler or the race detector need, not programs.
const SKIPPED: [&str; 4] = ["fieldtrack", "preemptibleloops", "regabiwrappers", "regabiargs"];

/// Notes what is asked for.
struct Recording {
    types: RuntimeTypes,
    facts: RefCell<Facts>,
}

impl Source for Recording {
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError> {
        let answer = self.types.get(fact)?;
        if let Some(answer) = answer {
            self.facts.borrow_mut().insert(fact.to_string(), answer);
        }
        Ok(answer)
    }
}

/// A toolchain at work.
pub(crate) struct Generator {
    go: Go,
    minor: Minor,
    work: tempfile::TempDir,
}

impl Generator {
    /// The toolchain of a release: of those that the set-up installs, of `GOROSCOPE_GOROOTS`
    /// (paths with colons between), or of the distribution.
    pub(crate) fn find(minor: Minor) -> Option<Self> {
        let name = minor.to_string();
        let installed = WITH_DEBIAN
            .into_iter()
            .filter(|version| format!("go{version}.").starts_with(&format!("{name}.")))
            .filter_map(|version| Some(Go::at(version).ok()?.root));
        let named = env::var_os("GOROSCOPE_GOROOTS").unwrap_or_default();
        let named: Vec<PathBuf> = env::split_paths(&named).collect();
        let distributed =
            Path::new("/usr/lib").join(format!("go-{}", name.trim_start_matches("go")));
        let mut roots = named.into_iter().chain(installed).chain([distributed]);
        let root = roots.find(|root| version_of(root).is_some_and(|version| version == minor))?;
        let work = tempfile::tempdir().ok()?;
        fs::write(work.path().join("main.go"), "package main\n\nfunc main() {}\n").ok()?;
        Some(Self { go: Go { version: "", root }, minor, work })
    }

    /// What the table has of this release.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for arch in [Arch::Amd64, Arch::Arm64] {
            let build = |experiment| Build { minor: self.minor, arch, experiment };
            let (_, default) = self.layout(arch, None)?.context("no layout by default")?;
            let mut neutral = BTreeSet::new();
            let mut changing = BTreeMap::new();
            for switch in self.experiments(arch)? {
                let Some((release, facts)) = self.layout(arch, Some(&switch))? else { continue };
                let [experiment] = release.experiments.as_slice() else { continue };
                if facts == default {
                    neutral.insert(experiment.clone());
                } else {
                    eprintln!("{} {}: {experiment} changes the layout", self.minor, arch.as_str());
                    changing.insert(experiment.clone(), facts);
                }
            }
            eprintln!("{} {}: {} experiments", self.minor, arch.as_str(), neutral.len());
            entries.push(Entry { build: build(None), facts: default, neutral });
            entries.extend(changing.into_iter().map(|(experiment, facts)| Entry {
                build: build(Some(experiment)),
                facts,
                neutral: BTreeSet::new(),
            }));
        }
        Ok(entries)
    }

    /// The version that a program built with the experiment has, and its layout; `None` where the
    /// toolchain refuses the experiment.
    pub(crate) fn layout(
        &self,
        arch: Arch,
        experiment: Option<&str>,
    ) -> Result<Option<(Release, Facts)>> {
        let Some(program) = self.build(arch, experiment)? else { return Ok(None) };
        let binary = inspect(File::open(&program)?)?;
        let section = |name: &str| binary.section(name).with_context(|| format!("no {name}"));
        let mut abbrev = Vec::new();
        section(".debug_abbrev")?.read_to_end(&mut abbrev)?;
        let types = RuntimeTypes::find(section(".debug_info")?, abbrev)?;
        let recording = Recording { types, facts: RefCell::default() };
        let version = &binary.facts.go_version;
        Layout::from_source(&recording).with_context(|| version.clone())?;
        Ok(Some((Release::parse(version)?, recording.facts.into_inner())))
    }

    fn build(&self, arch: Arch, experiment: Option<&str>) -> Result<Option<PathBuf>> {
        let out = self.work.path().join("program");
        let output = self
            .command(arch, experiment)?
            .args(["build", "-o"])
            .arg(&out)
            .arg("main.go")
            .output()
            .with_context(|| format!("running the toolchain in {}", self.go.root.display()))?;
        if output.status.success() {
            return Ok(Some(out));
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(experiment.is_some(), "{}: {errors}", self.go.root.display());
        Ok(None)
    }

    /// The switches that make another build than the default: experiments to switch on, and with
    /// the prefix `no` those to switch off.
    fn experiments(&self, arch: Arch) -> Result<Vec<String>> {
        let path = self.go.root.join("src/internal/goexperiment/flags.go");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_suffix(" bool"))
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.contains(' ') && !SKIPPED.contains(&name.as_str()));
        let mut switches = Vec::new();
        for switch in names.flat_map(|name| [name.clone(), format!("no{name}")]) {
            // Empty where the switch only says what is the default anyway.
            let output =
                self.command(arch, Some(&switch))?.args(["env", "GOEXPERIMENT"]).output()?;
            if output.status.success() && !output.stdout.trim_ascii().is_empty() {
                switches.push(switch);
            }
        }
        Ok(switches)
    }

    fn command(&self, arch: Arch, experiment: Option<&str>) -> Result<Command> {
        let mut command = self.go.command()?;
        command
            .current_dir(self.work.path())
            .env("GOOS", "linux")
            .env("GOARCH", arch.as_str())
            .env("CGO_ENABLED", "0")
            .env("GOEXPERIMENT", experiment.unwrap_or_default());
        Ok(command)
    }
}

/// The release of the toolchain in a folder; `None` where there is none that runs.
fn version_of(root: &Path) -> Option<Minor> {
    let go = Go { version: "", root: root.to_path_buf() };
    let output = go.command().ok()?.args(["env", "GOVERSION"]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    Release::parse(version.trim()).ok().map(|release| release.minor)
}
