//! Packages of distributions. What is in them stands in `agent/Cargo.toml`.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use goroscope_tests::{dist, packager::Packager, workspace};

use super::{Binary, binary::PROFILE, dated, epoch};
use crate::{command, setup};

/// For Debian.
pub(super) fn deb(binary: &Binary, folder: &Path, epoch: u32) -> Result<()> {
    let path = folder.join(dist::deb(binary.arch.debian()));
    let mut command = Command::new(setup::packager(Packager::Deb)?);
    command
        .current_dir(workspace::root())
        .args(["--no-build", "--no-strip", "--quiet", "--locked", "--package", "goroscope"])
        .args(["--target", &binary.arch.triple(), "--profile", PROFILE, "--output"])
        .arg(&path)
        .env(epoch::VARIABLE, epoch.to_string());
    command::run(&mut command).with_context(|| format!("making {}", path.display()))
}

/// For Fedora and others.
pub(super) fn rpm(binary: &Binary, folder: &Path, epoch: u32) -> Result<()> {
    let sources = workspace::target().join("dist-sources");
    dated::copy(&sources, epoch)?;
    let path = folder.join(dist::rpm(binary.arch.kernel()));
    let mut command = Command::new(setup::packager(Packager::Rpm)?);
    command
        .current_dir(&sources)
        .args(["--package", "agent", "--auto-req", "disabled", "--payload-compress", "xz"])
        .args(["--target", &binary.arch.triple(), "--profile", PROFILE])
        .args(["--arch", binary.arch.kernel(), "--output"])
        .arg(&path)
        .arg("--target-dir")
        .arg(workspace::target())
        .env(epoch::VARIABLE, epoch.to_string());
    command::run(&mut command).with_context(|| format!("making {}", path.display()))
}
