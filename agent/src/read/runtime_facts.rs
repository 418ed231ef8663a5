//! What is known of the runtime in a binary, before any process of it is looked at: its release,
//! where its variables may be, and how its records are laid out. Processes of one binary share it.

use std::io::Read;

use super::{
    error::ReadError,
    globals::{self, Candidates},
    layout::{Layout, LayoutError, dwarf::RuntimeTypes, table},
    release::{Arch, Release},
};
use crate::inspect::{self, Binary};

/// The largest section of abbreviations that is read; that of a Go binary has a few hundred bytes.
const MAX_ABBREV: u64 = 8 << 20;

/// Where a layout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The binary's own debug information.
    Dwarf,
    /// The table that was generated from the toolchains.
    Table,
}

/// What is known of the runtime in a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// The release.
    pub release: Release,
    /// The architecture.
    pub arch: Arch,
    /// The layout of the records.
    pub layout: Layout,
    /// Where the layout comes from.
    pub origin: Origin,
    /// Where the variables may be.
    pub candidates: Candidates,
}

impl RuntimeFacts {
    /// Collects them.
    ///
    /// # Errors
    /// [`ReadError::Release`], [`ReadError::Arch`], [`ReadError::Layout`] for what is not known,
    /// [`ReadError::Binary`] where the file cannot be read.
    pub fn of(binary: &Binary) -> Result<Self, ReadError> {
        let release = Release::parse(&binary.facts.go_version)?;
        let arch = match &binary.facts.arch {
            inspect::Arch::Amd64 => Arch::Amd64,
            inspect::Arch::Arm64 => Arch::Arm64,
            inspect::Arch::Other(name) => return Err(ReadError::Arch(name.clone())),
        };
        // Debug information that cannot be read is no reason to give up: the table may know.
        let (layout, origin) = match from_dwarf(binary) {
            Some(Ok(layout)) => (layout, Origin::Dwarf),
            Some(Err(_)) | None => {
                (Layout::from_source(&table::lookup(&release, arch)?)?, Origin::Table)
            }
        };
        let candidates = globals::find(binary, &layout, arch).map_err(ReadError::Binary)?;
        Ok(Self { release, arch, layout, origin, candidates })
    }
}

/// The layout by the binary's debug information; `None` where it has none.
fn from_dwarf(binary: &Binary) -> Option<Result<Layout, LayoutError>> {
    let info = binary.section(".debug_info")?;
    let mut abbrev = Vec::new();
    let read = binary.section(".debug_abbrev")?.take(MAX_ABBREV).read_to_end(&mut abbrev);
    if let Err(error) = read {
        return Some(Err(LayoutError::Dwarf(error.to_string())));
    }
    Some(RuntimeTypes::find(info, abbrev).and_then(|types| Layout::from_source(&types)))
}
