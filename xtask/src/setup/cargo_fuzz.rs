//! `cargo-fuzz`, which builds the fuzz targets.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use goroscope_tests::cache;

use crate::command;

const VERSION: &str = "0.13.2";

/// Installs cargo-fuzz, unless this version is there.
pub(super) fn install() -> Result<()> {
    let binary = binary()?;
    if version(&binary).is_some_and(|version| version.ends_with(VERSION)) {
        return Ok(());
    }
    let root = cache::folder()?.join("cargo-fuzz");
    println!("installing cargo-fuzz {VERSION} into {}", root.display());
    command::run(
        command::cargo()
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--force", "--root"])
            .arg(&root),
    )?;
    ensure!(version(&binary).is_some(), "{} does not run", binary.display());
    Ok(())
}

/// Where it is installed.
pub(super) fn binary() -> Result<PathBuf> {
    Ok(cache::folder()?.join("cargo-fuzz/bin/cargo-fuzz"))
}

fn version(binary: &Path) -> Option<String> {
    command::output(std::process::Command::new(binary).arg("--version")).ok()
}
