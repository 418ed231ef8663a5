//! What `cargo xtask dist` makes: names, and what a binary must be that runs everywhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use object::{
    Object as _, ObjectSection as _, SectionKind,
    elf::{DT_NEEDED, FileHeader64, PT_INTERP},
    endian::LittleEndian,
    read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _},
};

use crate::{debian, fixture, workspace};

/// The version that is shipped: that of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name of the image, less its version.
pub const IMAGE: &str = "localhost/goroscope";

/// Where everything lies.
#[must_use]
pub fn folder() -> PathBuf {
    workspace::target().join("dist")
}

/// The binary's file, for an architecture in Debian's words.
#[must_use]
pub fn binary(arch: &str) -> String {
    format!("goroscope-{VERSION}-linux-{arch}")
}

/// Debian's package.
#[must_use]
pub fn deb(arch: &str) -> String {
    format!("goroscope_{VERSION}-1_{arch}.deb")
}

/// The package for RPM, for an architecture in the kernel's words.
#[must_use]
pub fn rpm(arch: &str) -> String {
    format!("goroscope-{VERSION}-1.{arch}.rpm")
}

/// The archive with the image.
#[must_use]
pub fn image() -> String {
    format!("goroscope-{VERSION}-image.tar")
}

/// The list of parts.
#[must_use]
pub fn parts() -> String {
    format!("goroscope-{VERSION}.cdx.json")
}

/// A file of it, for this machine's architecture.
///
/// # Errors
/// That it has not been made.
pub fn find(name: impl Fn(&str) -> String) -> Result<PathBuf, String> {
    let path = folder().join(name(fixture::host_arch()));
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing: `cargo xtask dist` makes it", path.display()))
}

/// Makes sure that a file is a program for that machine (`e_machine`) that needs no other file, and
/// has no symbol table.
///
/// # Errors
/// What it is instead.
pub fn check_static(path: &Path, machine: u16) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file = ElfFile64::<LittleEndian>::parse(bytes.as_slice())?;
    let header: &FileHeader64<LittleEndian> = file.elf_header();
    let is = header.e_machine(LittleEndian);
    ensure!(is.0 == machine, "{} is for machine {is:?}, not {machine}", path.display());
    for segment in file.elf_program_headers() {
        let kind = segment.p_type(LittleEndian);
        ensure!(kind != PT_INTERP, "{} asks for a loader", path.display());
    }
    ensure!(libraries(&file)? == 0, "{} needs libraries", path.display());
    ensure!(file.imports()?.next().is_none(), "{} imports symbols of libraries", path.display());
    let debug = file.sections().find(|section| {
        section.kind() == SectionKind::Debug
            || section.name().is_ok_and(|name| name.starts_with(".debug") || name == ".symtab")
    });
    let named = debug.and_then(|section| section.name().ok().map(str::to_owned));
    ensure!(named.is_none(), "{} is not stripped: {named:?}", path.display());
    Ok(())
}

/// How many libraries it names. A program that relocates itself has the table for it, too.
fn libraries(file: &ElfFile64<'_, LittleEndian>) -> Result<usize> {
    let data = file.data();
    let table = file
        .elf_program_headers()
        .iter()
        .find_map(|segment| segment.dynamic(LittleEndian, data).transpose());
    let Some(table) = table.transpose()? else { return Ok(0) };
    Ok(table.iter().filter(|entry| entry.d_tag(LittleEndian) == DT_NEEDED).count())
}

/// What runs programs for an architecture in the kernel's words here: `None` where the machine does.
///
/// # Errors
/// That there is no emulator.
pub fn emulator(arch: &str) -> Result<Option<PathBuf>, String> {
    if arch == std::env::consts::ARCH {
        return Ok(None);
    }
    debian::package("qemu-user-static")
        .map(|folder| Some(folder.join(format!("usr/bin/qemu-{arch}-static"))))
        .map_err(|error| format!("needs an emulator for {arch}: {error:#}"))
}
