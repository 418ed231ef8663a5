//! What is in a Go binary: version, module, functions, lines, and where probes can sit.
//!
//! Whatever the file holds, an inspection ends: all reads are positioned and bounded, and each
//! structure is checked before it is followed. What is found costs a few small reads; names are
//! looked up in the file when they are asked for.

use std::{fs::File, sync::Arc};

pub mod address;
mod error;
mod source;
mod facts;
mod elf;
mod buildinfo;
mod pclntab;
mod module_data;
mod functions;
mod pc_table;
mod inline_tree;
mod debug_section;
mod dwarf;
mod func_name;
mod prologue;
mod probe_points;
mod g_fields;
mod symbols;
mod calls;
mod raw;
mod load_bias;
pub mod cache;

use self::{
    address::LoadBias,
    buildinfo::BuildInfo,
    dwarf::Dwarf,
    elf::Elf,
    functions::Functions,
    module_data::ModuleData,
    pclntab::Header,
    source::{OpenFile, Source},
};
pub use self::{
    calls::{Activation, Call},
    error::InspectError,
    facts::{Arch, Facts, GoVersion},
    func_name::printed_name,
    g_fields::GFields,
    load_bias::Mapping,
    probe_points::{ProbePoint, ProbePoints},
    raw::Code,
    source::ReadAt,
    symbols::{CodePlace, Symbols},
};

/// A Go binary as far as it could be understood: what is missing has its reason.
pub struct Binary {
    /// What it says about itself.
    pub facts: Facts,
    /// Where the probes sit.
    pub probe_points: Result<ProbePoints, InspectError>,
    /// Where `runtime.g` has the fields that the probes read.
    pub g_fields: Result<GFields, InspectError>,
    /// Names for addresses; knows none where `probe_points` says that the function table is bad.
    pub symbols: Symbols,
    elf: Arc<Elf>,
    source: Arc<Source>,
}

impl Binary {
    /// Where a process has loaded this binary, from its mappings of this file (in `/proc/PID/maps`;
    /// those of other files would mislead).
    ///
    /// `None` where the mappings do not fit the binary.
    #[must_use]
    pub fn load_bias(&self, mappings: impl IntoIterator<Item = Mapping>) -> Option<LoadBias> {
        load_bias::load_bias(&self.elf.segments, self.elf.pie, mappings)
    }
}

/// Looks into an opened executable file.
///
/// # Errors
///
/// [`InspectError::NotGo`] for an ELF file that is no Go program, with a few small reads;
/// otherwise what is wrong with the file as a whole.
pub fn inspect(file: File) -> Result<Binary, InspectError> {
    inspect_source(Box::new(OpenFile::new(file)?))
}

/// Looks into an executable file that is in memory.
///
/// # Errors
///
/// As [`inspect`].
pub fn inspect_bytes(bytes: &[u8]) -> Result<Binary, InspectError> {
    inspect_source(Box::new(bytes.to_vec()))
}

fn inspect_source(bytes: Box<dyn ReadAt>) -> Result<Binary, InspectError> {
    let source = Arc::new(Source::new(bytes));
    let elf = Arc::new(Elf::read(&source)?);
    let BuildInfo { go_version, module, settings } = BuildInfo::read(&source, &elf)?;
    let build_id = elf.note(&source, GO_NOTE, GO_BUILD_ID)?;
    let facts = Facts {
        version: GoVersion::parse(&go_version),
        go_version,
        module,
        build_id: build_id.map(|id| String::from_utf8_lossy(&id).into_owned()),
        arch: elf.arch.clone(),
        stripped: elf.section(".symtab").is_none(),
        pie: elf.pie,
        dwarf: elf.section(".debug_info").is_some(),
        settings,
    };
    let table = Header::find(&source, &elf, &facts.go_version)
        .and_then(|headers| ModuleData::find(&source, &elf, &headers, facts.version))
        .map(|module| Functions { source: Arc::clone(&source), module });
    let probe_points = match &table {
        Ok(functions) => ProbePoints::find(functions, &elf),
        Err(error) => Err(error.clone()),
    };
    let dwarf = Dwarf::open(&source, &elf);
    let g_fields = match dwarf.as_ref().and_then(GFields::from_dwarf) {
        Some(fields) => Ok(fields),
        None => GFields::of_release(&facts),
    };
    let minor = facts.version.map(|version| version.minor);
    let symbols = Symbols::new(table.ok(), dwarf, Arc::clone(&elf), minor);
    Ok(Binary { facts, probe_points, g_fields, symbols, elf, source })
}

/// Owner and type of the note with Go's build id
/// (<https://github.com/golang/go/blob/go1.26.0/src/cmd/link/internal/ld/elf.go>).
const GO_NOTE: &[u8] = b"Go\0\0";
const GO_BUILD_ID: u32 = 4;

#[cfg(test)]
mod tests;
