//! Installs what makes packages.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use goroscope_tests::packager::Packager;

use crate::command;

/// Installs it, unless this version is there; gives its path.
pub(super) fn install(packager: Packager) -> Result<PathBuf> {
    let (name, version) = packager.crate_and_version();
    let (root, binary) = (packager.folder()?, packager.program()?);
    if binary.is_file() {
        return Ok(binary);
    }
    println!("installing {name} {version} into {}", root.display());
    command::run(
        command::cargo()
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", name, "--version", version, "--locked", "--force", "--root"])
            .arg(&root),
    )?;
    ensure!(binary.is_file(), "{} was not installed", binary.display());
    Ok(binary)
}
