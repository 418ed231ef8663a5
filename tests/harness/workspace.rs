//! Where the workspace and what it builds lie.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The `goroscope` command to test: `GOROSCOPE_BIN`, else the release build.
///
/// # Errors
/// Where it has not been built.
pub fn goroscope() -> Result<PathBuf> {
    let path = env::var_os("GOROSCOPE_BIN")
        .map_or_else(|| target().join("release/goroscope"), PathBuf::from);
    ensure!(path.is_file(), "{} is missing: run `cargo xtask build` first", path.display());
    path.canonicalize().with_context(|| format!("resolving {}", path.display()))
}
