//! RPM's own commands, from Debian's packages.

use std::{path::Path, process::Command};

use goroscope_tests::debian;

/// A command of RPM's with its database in this folder: it makes one where there is none.
pub(super) fn command(name: &str, database: &Path) -> Result<Command, String> {
    let folder =
        debian::with_needs("rpm", &["rpm"]).map_err(|error| format!("needs rpm: {error:#}"))?;
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(folder.join("usr/bin").join(name));
    let libraries = [folder.join("usr/lib").join(&triplet), folder.join("lib").join(&triplet)];
    let libraries = std::env::join_paths(libraries).map_err(|error| error.to_string())?;
    command
        .env("LD_LIBRARY_PATH", libraries)
        .env("RPM_CONFIGDIR", folder.join("usr/lib/rpm"))
        .env("LC_ALL", "C")
        // No macros of whoever runs the tests.
        .env("HOME", "/nonexistent")
        .arg("--dbpath")
        .arg(database);
    Ok(command)
}

/// The same, with a database that is nobody's.
pub(super) fn query(name: &str) -> Result<Command, String> {
    command(name, Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/rpm")))
}
