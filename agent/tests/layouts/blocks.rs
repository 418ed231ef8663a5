//! The table of layouts as a file: read back, merged and written.

use std::collections::{BTreeMap, BTreeSet};

use goroscope::read::{
    layout::table::Build,
    release::{Arch, Minor, Release},
};

const HEAD: &str = "\
# Layouts of the runtime's records, by release of Go: sizes, offsets and lengths, in bytes.
# Written by `cargo xtask layouts` from the toolchains themselves; not edited by hand.
#   g 456              size of runtime.g
#   g.goid:8 152       offset of a field of 8 bytes
#   g.sched 56         offset of a field that is a record or an array
#   x.counts[] 160     number of elements of an array
";

/// Numbers by name.
pub(crate) type Facts = BTreeMap<String, u32>;

/// The layout of one build, and the experiments that leave it as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) build: Build,
    pub(crate) facts: Facts,
    pub(crate) neutral: BTreeSet<String>,
}

/// Builds that share layout and neutral experiments.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    builds: Vec<Build>,
    facts: Facts,
    neutral: BTreeSet<String>,
}

/// The table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks(Vec<Block>);

impl Blocks {
    /// Adds a build to the block it shares with others. The neutral experiments are part of what is
    /// distinct, so that a name is neutral for all heads of a block or for none.
    pub(crate) fn add(&mut self, entry: Entry) {
        let Entry { build, facts, neutral } = entry;
        let same = |block: &&mut Block| block.facts == facts && block.neutral == neutral;
        match self.0.iter_mut().find(same) {
            Some(block) => block.builds.push(build),
            None => self.0.push(Block { builds: vec![build], facts, neutral }),
        }
    }

    /// The entries of one release.
    pub(crate) fn of(&self, minor: Minor) -> Vec<Entry> {
        let entries = self.0.iter().flat_map(|block| {
            let builds = block.builds.iter().filter(|build| build.minor == minor);
            builds.map(|build| Entry {
                build: build.clone(),
                facts: block.facts.clone(),
                neutral: block.neutral.clone(),
            })
        });
        let mut entries: Vec<Entry> = entries.collect();
        // As the generator orders them.
        entries
            .sort_by_key(|entry| (entry.build.arch == Arch::Arm64, entry.build.experiment.clone()));
        entries
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut blocks = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                let heads = line.trim_matches(['[', ']']).split("] [");
                let builds = heads.map(build).collect();
                blocks.push(Block { builds, facts: Facts::new(), neutral: BTreeSet::new() });
                continue;
            }
            let block = blocks.last_mut().unwrap();
            if let Some(names) = line.strip_prefix("neutral ") {
                block.neutral = names.split(' ').map(str::to_owned).collect();
            } else {
                let (fact, value) = line.split_once(' ').unwrap();
                block.facts.insert(fact.to_owned(), value.parse().unwrap());
            }
        }
        Self(blocks)
    }

    pub(crate) fn render(&self) -> String {
        let mut text = HEAD.to_owned();
        for block in &self.0 {
            let heads: Vec<_> =
                block.builds.iter().map(|build| format!("[{}]", build.head())).collect();
            text.push_str(&format!("\n{}\n", heads.join(" ")));
            if !block.neutral.is_empty() {
                let names: Vec<_> = block.neutral.iter().map(String::as_str).collect();
                text.push_str(&format!("neutral {}\n", names.join(" ")));
            }
            for (fact, value) in &block.facts {
                text.push_str(&format!("{fact} {value}\n"));
            }
        }
        text
    }
}

/// `go1.26 amd64 X:staticlockranking`
fn build(head: &str) -> Build {
    let mut words = head.split(' ');
    let minor = Release::parse(words.next().unwrap()).unwrap().minor;
    let arch = match words.next() {
        Some("amd64") => Arch::Amd64,
        Some("arm64") => Arch::Arm64,
        other => panic!("{head}: the architecture {other:?} is not known"),
    };
    let experiment = words.next().map(|word| word.strip_prefix("X:").unwrap().to_owned());
    Build { minor, arch, experiment }
}
