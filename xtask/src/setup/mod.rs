//! `cargo xtask setup`: what the build and the tests need, installed into the user's cache folder.

mod rust_src;
mod bpf_linker;
mod wheel;
mod go;
mod cargo_fuzz;
mod zig;
mod packaging;
mod debian;

use std::path::PathBuf;

use anyhow::Result;
use goroscope_tests::{cache, packager::Packager, toolchain};

pub(crate) use zig::Zig;

/// What the build needs.
pub(crate) fn for_build() -> Result<()> {
    let _lock = cache::lock("setup")?;
    rust_src::install()?;
    bpf_linker::install()
}

/// Go toolchains of these versions.
pub(crate) fn go(versions: &[&'static str]) -> Result<()> {
    let _lock = cache::lock("setup-go")?;
    versions.iter().try_for_each(|version| go::install(version))
}

/// What builds the fuzz targets; gives the path of `cargo-fuzz`.
pub(crate) fn for_fuzzing() -> Result<PathBuf> {
    let _lock = cache::lock("setup-fuzz")?;
    cargo_fuzz::install()?;
    cargo_fuzz::binary()
}

/// What compiles C for any Linux, and links.
pub(crate) fn zig() -> Result<Zig> {
    let _lock = cache::lock("setup-zig")?;
    zig::install()
}

/// What makes packages; gives its path.
pub(crate) fn packager(which: Packager) -> Result<PathBuf> {
    let _lock = cache::lock("setup-packaging")?;
    packaging::install(which)
}

/// Programs that only Debian's packages bring.
pub(crate) fn debian() -> Result<()> {
    let _lock = cache::lock("setup-debian")?;
    debian::install()
}

/// Everything.
pub(crate) fn all() -> Result<()> {
    for_build()?;
    go(&toolchain::VERSIONS)?;
    for_fuzzing()?;
    zig()?;
    for which in Packager::ALL {
        packager(which)?;
    }
    debian()?;
    println!("set up: everything is in {}", cache::folder()?.display());
    Ok(())
}
