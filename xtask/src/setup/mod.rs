//! `cargo xtask setup`: what the build and the tests need, installed into the user's cache folder.

mod rust_src;
mod bpf_linker;
mod go;
mod debian;

use anyhow::Result;
use goroscope_tests::{cache, toolchain};

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

/// Programs that only Debian's packages bring.
pub(crate) fn debian() -> Result<()> {
    let _lock = cache::lock("setup-debian")?;
    debian::install()
}

/// Everything.
pub(crate) fn all() -> Result<()> {
    for_build()?;
    go(&toolchain::VERSIONS)?;
    debian()?;
    println!("set up: everything is in {}", cache::folder()?.display());
    Ok(())
}
