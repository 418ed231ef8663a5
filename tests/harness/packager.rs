//! What makes packages: `cargo-deb`, `cargo-generate-rpm`, and `cargo-cyclonedx` for the list of parts.
//! `cargo xtask setup` installs it.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub enum Packager {
    /// For Debian.
    Deb,
    /// For RPM.
    Rpm,
    /// The list of parts.
    Parts,
}

impl Packager {
    /// All.
    pub const ALL: [Self; 3] = [Self::Deb, Self::Rpm, Self::Parts];

    /// Its crate, and that crate's version.
    #[must_use]
    pub const fn crate_and_version(self) -> (&'static str, &'static str) {
        match self {
            Self::Deb => ("cargo-deb", "3.8.0"),
            Self::Rpm => ("cargo-generate-rpm", "0.21.1"),
            Self::Parts => ("cargo-cyclonedx", "0.5.9"),
        }
    }

    /// The folder that it is installed into.
    ///
    /// # Errors
    /// Where there is no cache folder.
    pub fn folder(self) -> Result<PathBuf> {
        let (name, version) = self.crate_and_version();
        Ok(cache::folder()?.join("packaging").join(format!("{name}-{version}")))
    }

    /// The program, which need not be there.
    ///
    /// # Errors
    /// Where there is no cache folder.
    pub fn program(self) -> Result<PathBuf> {
        Ok(self.folder()?.join("bin").join(self.crate_and_version().0))
    }

    /// The program.
    ///
    /// # Errors
    /// That it has not been installed.
    pub fn find(self) -> Result<PathBuf, String> {
        let program = self.program().map_err(|error| format!("{error:#}"))?;
        if program.is_file() {
            return Ok(program);
        }
        Err(format!("{} is missing: `cargo xtask setup` installs it", program.display()))
    }
}
