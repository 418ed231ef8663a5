//! The command as one file that needs no library of the system it runs on: musl linked in.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::workspace;

use super::{arch::Arch, epoch};
use crate::{
    command,
    setup::{self, Zig},
};

/// The profile in `Cargo.toml`.
pub(super) const PROFILE: &str = "static";

/// A built command.
pub(super) struct Binary {
    pub(super) arch: Arch,
    pub(super) path: PathBuf,
}

impl Binary {
    /// The folder for what goes with it, beside it: tools that pack know that folder as
    /// `target/release`.
    pub(super) fn stage(&self) -> PathBuf {
        self.path.with_file_name("stage")
    }
}

/// Builds it.
pub(super) fn build(arch: Arch, epoch: u32) -> Result<Binary> {
    setup::for_build()?;
    let zig = setup::zig()?;
    println!("building for {} (musl, linked by Zig {})", arch.debian(), Zig::version());
    command::run(&mut cargo(arch, &zig, epoch)?)
        .with_context(|| format!("the binary for {}", arch.debian()))?;
    let folder = workspace::target().join(arch.triple()).join(PROFILE);
    let path = folder.join("goroscope");
    ensure!(path.is_file(), "{} was not built", path.display());
    Ok(Binary { arch, path })
}

fn cargo(arch: Arch, zig: &Zig, epoch: u32) -> Result<Command> {
    let triple = arch.triple();
    let lower = triple.replace('-', "_");
    let upper = lower.to_uppercase();
    let compiler = zig.compiler(arch.kernel());
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--locked", "--package", "goroscope", "--profile", PROFILE])
        .args(["--target", &triple])
        .env(format!("CARGO_TARGET_{upper}_LINKER"), &compiler)
        .env(
            format!("CARGO_TARGET_{upper}_RUSTFLAGS"),
            // Start-up code and the C library are Zig's, not those that Rust brings for some targets.
            "-Ctarget-feature=+crt-static -Clink-self-contained=no",
        )
        // For the crates with C and assembler in them.
        .env(format!("CC_{lower}"), &compiler)
        .env(format!("AR_{lower}"), zig.archiver())
        .env(epoch::VARIABLE, epoch.to_string())
        // No folder of this machine in the binary: neither in its own part nor in the kernel
        // programs, which `agent/build.rs` has a second cargo build as `release`.
        .env("CARGO_UNSTABLE_TRIM_PATHS", "true")
        .env("CARGO_PROFILE_STATIC_TRIM_PATHS", "all")
        .env("CARGO_PROFILE_RELEASE_TRIM_PATHS", "all")
        .env("RUSTC_BOOTSTRAP", "1");
    // Flags for whatever else is built here would come before those for the target.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    if !has_std(&triple)? {
        // The library in the form for this target is what rustup could bring; its source, which the
        // kernel programs need anyway, does as well.
        cargo.arg("-Zbuild-std=std,panic_unwind");
    }
    Ok(cargo)
}

/// Whether the compiler in use brings the standard library for this target.
fn has_std(triple: &str) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(workspace::root()).args(["--print", "target-libdir", "--target", triple]);
    let folder = PathBuf::from(command::output(&mut rustc)?);
    Ok(fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()))
}
