//! What makes packages: `cargo-deb`, `cargo-generate-rpm`, and `cargo-cyclonedx` for the list of parts.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use goroscope_tests::cache;

use crate::command;

/// One of them.
#[derive(Clone, Copy)]
pub(crate) enum Packager {
    Deb,
    Rpm,
    Parts,
}

impl Packager {
    pub(super) const ALL: [Self; 3] = [Self::Deb, Self::Rpm, Self::Parts];

    const fn crate_and_version(self) -> (&'static str, &'static str) {
        match self {
            Self::Deb => ("cargo-deb", "3.8.0"),
            Self::Rpm => ("cargo-generate-rpm", "0.21.1"),
            Self::Parts => ("cargo-cyclonedx", "0.5.9"),
        }
    }

    /// Installs it, unless this version is there; gives its path.
    pub(super) fn install(self) -> Result<PathBuf> {
        let (name, version) = self.crate_and_version();
        let root = cache::folder()?.join("packaging").join(format!("{name}-{version}"));
        let binary = root.join("bin").join(name);
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
}
