//! Writes the table of layouts, `agent/data/layouts.txt`, from Go toolchains.
//!
//! ```text
//! cargo run --example layouts -- agent/data/layouts.txt GOROOT…
//! ```
//!
//! For each toolchain and architecture it builds a small program, reads the layout from its debug
//! information as the agent would, and again for each experiment that the toolchain knows.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope::read::{
    layout::{Fact, Layout, LayoutError, Source, dwarf::RuntimeTypes, table::Build},
    release::{Arch, Release},
};
use object::{Object as _, ObjectSection as _};

const HEAD: &str = "\
# Layouts of the runtime's records, by release of Go: sizes, offsets and lengths, in bytes.
# Written by the example `layouts` from the toolchains themselves; not edited by hand.
#   g 456              size of runtime.g
#   g.goid:8 152       offset of a field of 8 bytes
#   g.sched 56         offset of a field that is a record or an array
#   x.counts[] 160     number of elements of an array
";

/// Experiments that the compiler or the race detector need, not programs.
const SKIPPED: [&str; 4] = ["fieldtrack", "preemptibleloops", "regabiwrappers", "regabiargs"];

/// Notes what is asked for.
struct Recording {
    types: RuntimeTypes,
    facts: RefCell<BTreeMap<String, u32>>,
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

type Facts = BTreeMap<String, u32>;

struct Toolchain {
    root: PathBuf,
    work: PathBuf,
}

impl Toolchain {
    /// Builds the program; `None` where the toolchain refuses the experiment.
    fn build(&self, arch: Arch, experiment: Option<&str>) -> Result<Option<PathBuf>> {
        let out = self.work.join("program");
        let output = Command::new(self.root.join("bin/go"))
            .args(["build", "-o"])
            .arg(&out)
            .arg(self.work.join("main.go"))
            .current_dir(&self.work)
            .env("GOOS", "linux")
            .env("GOARCH", arch.as_str())
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod")
            .env("GOROOT", &self.root)
            .env("GOEXPERIMENT", experiment.unwrap_or_default())
            .output()
            .with_context(|| format!("running the toolchain in {}", self.root.display()))?;
        if !output.status.success() {
            ensure!(
                experiment.is_some(),
                "{}: {}",
                self.root.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            return Ok(None);
        }
        Ok(Some(out))
    }

    /// The version that a program built with the experiment has, and its layout.
    fn layout(&self, arch: Arch, experiment: Option<&str>) -> Result<Option<(Release, Facts)>> {
        let Some(program) = self.build(arch, experiment)? else { return Ok(None) };
        let output =
            Command::new(self.root.join("bin/go")).arg("version").arg(&program).output()?;
        let text = String::from_utf8(output.stdout)?;
        let version = text.trim().rsplit_once(": ").context("go version says nothing")?.1;
        let release = Release::parse(version)?;
        let bytes = fs::read(&program)?;
        let file = object::File::parse(&*bytes)?;
        let section = |name: &str| -> Result<Vec<u8>> {
            let section = file.section_by_name(name).with_context(|| format!("no {name}"))?;
            Ok(section.uncompressed_data()?.into_owned())
        };
        let info = section(".debug_info")?;
        let types = RuntimeTypes::find(info.as_slice().by_ref(), section(".debug_abbrev")?)?;
        let recording = Recording { types, facts: RefCell::default() };
        Layout::from_source(&recording).with_context(|| version.to_owned())?;
        Ok(Some((release, recording.facts.into_inner())))
    }

    /// The experiments that the toolchain knows.
    fn experiments(&self) -> Result<Vec<String>> {
        let path = self.root.join("src/internal/goexperiment/flags.go");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text
            .lines()
            .filter_map(|line| line.trim().strip_suffix(" bool"))
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.contains(' ') && !SKIPPED.contains(&name.as_str()))
            .collect())
    }
}

#[derive(Default)]
struct Block {
    heads: Vec<String>,
    neutral: BTreeSet<String>,
}

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().context("usage: layouts FILE GOROOT…")?;
    let with_experiments = env::var_os("LAYOUTS_WITHOUT_EXPERIMENTS").is_none();
    let work = tempfile::tempdir()?;
    fs::write(work.path().join("main.go"), "package main\n\nfunc main() {}\n")?;
    // Blocks in the order of the toolchains; the neutral experiments are part of what is distinct,
    // so that a name is neutral for all heads of a block or for none.
    let mut blocks: Vec<(Facts, Block)> = Vec::new();
    let mut add = |facts: Facts, head: String, neutral: BTreeSet<String>| match blocks
        .iter_mut()
        .find(|(known, block)| *known == facts && block.neutral == neutral)
    {
        Some((_, block)) => block.heads.push(head),
        None => blocks.push((facts, Block { heads: vec![head], neutral })),
    };
    for root in arguments {
        let toolchain = Toolchain { root, work: work.path().to_owned() };
        for arch in [Arch::Amd64, Arch::Arm64] {
            let (release, default) =
                toolchain.layout(arch, None)?.context("no layout by default")?;
            let mut build = Build { minor: release.minor, arch, experiment: None };
            eprintln!("{} ({})", build.head(), toolchain.root.display());
            let mut neutral = BTreeSet::new();
            let mut changing = BTreeMap::new();
            let experiments = if with_experiments { toolchain.experiments()? } else { Vec::new() };
            for name in experiments {
                for switch in [name.clone(), format!("no{name}")] {
                    let Some((release, facts)) = toolchain.layout(arch, Some(&switch))? else {
                        continue;
                    };
                    // Empty where the switch only says what is the default anyway.
                    let [experiment] = release.experiments.as_slice() else { continue };
                    if facts == default {
                        neutral.insert(experiment.clone());
                    } else {
                        eprintln!("  {experiment} changes the layout");
                        changing.insert(experiment.clone(), facts);
                    }
                }
            }
            add(default, build.head(), neutral);
            for (experiment, facts) in changing {
                build.experiment = Some(experiment);
                add(facts, build.head(), BTreeSet::new());
            }
        }
    }
    fs::write(&out, render(&blocks)).with_context(|| out.display().to_string())?;
    Ok(())
}

fn render(blocks: &[(Facts, Block)]) -> String {
    let mut text = HEAD.to_owned();
    for (facts, block) in blocks {
        let heads: Vec<_> = block.heads.iter().map(|head| format!("[{head}]")).collect();
        text.push_str(&format!("\n{}\n", heads.join(" ")));
        if !block.neutral.is_empty() {
            let names: Vec<_> = block.neutral.iter().map(String::as_str).collect();
            text.push_str(&format!("neutral {}\n", names.join(" ")));
        }
        for (fact, value) in facts {
            text.push_str(&format!("{fact} {value}\n"));
        }
    }
    text
}
