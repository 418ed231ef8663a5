//! Layouts from a table that was generated from the toolchains.
//!
//! The table is `agent/data/layouts.txt`; `cargo xtask layouts` writes it. It has a block for each
//! distinct layout, headed by the releases, architectures and experiments that have it:
//!
//! ```text
//! [go1.26 amd64] [go1.26 arm64]
//! neutral arenas boringcrypto
//! g 456
//! g.goid:8 152
//! ```
//!
//! A line `neutral` names experiments that were seen to leave the layout as it is. A build with an
//! experiment that is neither neutral nor has a block of its own is not known.

use std::{collections::HashMap, fmt::Write as _};

use super::fact::{Fact, LayoutError, Source};
use crate::read::release::{Arch, Minor, Release};

/// The table that is part of the agent.
pub const TABLE: &str = include_str!("../../../data/layouts.txt");

/// One layout of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    facts: HashMap<String, u32>,
}

impl Source for Block {
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError> {
        Ok(self.facts.get(&fact.to_string()).copied())
    }
}

/// What a block's head names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The release.
    pub minor: Minor,
    /// The architecture.
    pub arch: Arch,
    /// The one experiment that makes this layout another one than the release's default.
    pub experiment: Option<String>,
}

impl Build {
    /// The head of its block: `go1.26 amd64`, `go1.26 amd64 X:staticlockranking`.
    #[must_use]
    pub fn head(&self) -> String {
        let mut head = format!("{} {}", self.minor, self.arch.as_str());
        if let Some(experiment) = &self.experiment {
            let _ = write!(head, " X:{experiment}");
        }
        head
    }
}

/// Finds the layout of a release in [`TABLE`].
///
/// # Errors
/// [`LayoutError::Unknown`] where the table has none.
pub fn lookup(release: &Release, arch: Arch) -> Result<Block, LayoutError> {
    lookup_in(TABLE, release, arch)
}

fn lookup_in(table: &str, release: &Release, arch: Arch) -> Result<Block, LayoutError> {
    let mut build = Build { minor: release.minor, arch, experiment: None };
    let default = find(table, &build.head())?;
    let unknown = |build: &Build| LayoutError::Unknown(build.head());
    let Some((block, neutral)) = default else { return Err(unknown(&build)) };
    let mut changing = release.experiments.iter().filter(|name| !neutral.contains(&name.as_str()));
    let Some(first) = changing.next() else { return Ok(block) };
    build.experiment = Some(first.clone());
    if changing.next().is_some() {
        // Two that each change the layout: their sum was never seen.
        build.experiment = Some(release.experiments.join(","));
        return Err(unknown(&build));
    }
    match find(table, &build.head())? {
        Some((block, _)) => Ok(block),
        None => Err(unknown(&build)),
    }
}

/// The block with this head, and its neutral experiments.
fn find<'a>(table: &'a str, head: &str) -> Result<Option<(Block, Vec<&'a str>)>, LayoutError> {
    let head = format!("[{head}]");
    let mut inside = false;
    let mut block = Block { facts: HashMap::new() };
    let mut neutral = Vec::new();
    for (index, line) in table.lines().enumerate() {
        let broken = LayoutError::Table(index + 1);
        if line.starts_with('[') {
            if inside {
                break;
            }
            inside = line.contains(&head);
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            if let Some(names) = line.strip_prefix("neutral") {
                neutral.extend(names.split_ascii_whitespace());
                continue;
            }
            let (key, value) = line.split_once(' ').ok_or_else(|| broken.clone())?;
            block.facts.insert(key.to_owned(), value.parse().map_err(|_| broken)?);
        }
    }
    Ok(inside.then_some((block, neutral)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{layout::Layout, release::KNOWN};

    const SMALL: &str = "# head\n[go1.26 amd64] [go1.26 arm64]\nneutral arenas\ng 456\n\n\
                         [go1.26 amd64 X:ranking]\ng 500\n";

    fn size(release: &str, arch: Arch) -> Result<u32, LayoutError> {
        let release = Release::parse(release).unwrap();
        lookup_in(SMALL, &release, arch)?.need(Fact::Size { record: "g" })
    }

    #[test]
    fn a_block_is_found_by_any_of_its_heads() {
        assert_eq!(size("go1.26.1", Arch::Amd64), Ok(456));
        assert_eq!(size("go1.26.1", Arch::Arm64), Ok(456));
        assert_eq!(size("go1.26.1-X:arenas", Arch::Amd64), Ok(456));
        assert_eq!(size("go1.26.1-X:ranking", Arch::Amd64), Ok(500));
        assert_eq!(size("go1.26.1-X:arenas,ranking", Arch::Amd64), Ok(500));
    }

    #[test]
    fn what_the_table_does_not_have_is_unknown() {
        let unknown = |head: &str| Err(LayoutError::Unknown(head.to_owned()));
        assert_eq!(size("go1.25.1", Arch::Amd64), unknown("go1.25 amd64"));
        assert_eq!(size("go1.26.1-X:ranking", Arch::Arm64), unknown("go1.26 arm64 X:ranking"));
        assert_eq!(size("go1.26.1-X:new", Arch::Amd64), unknown("go1.26 amd64 X:new"));
        assert_eq!(size("go1.26.1-X:a,b", Arch::Amd64), unknown("go1.26 amd64 X:a,b"));
    }

    #[test]
    fn the_table_has_a_whole_layout_for_every_known_release() {
        for minor in KNOWN {
            for arch in [Arch::Amd64, Arch::Arm64] {
                let release = Release { minor, experiments: Vec::new() };
                let layout = Layout::from_source(&lookup(&release, arch).unwrap());
                assert!(layout.is_ok(), "{minor} {}: {layout:?}", arch.as_str());
            }
        }
    }
}
