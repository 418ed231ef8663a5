//! The source of `core`, which is built for the BPF target.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::command;

/// Adds the component `rust-src` to the compiler in use.
pub(super) fn install() -> Result<()> {
    let sysroot = sysroot()?;
    if Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file() {
        return Ok(());
    }
    println!("installing rust-src into {sysroot}");
    command::run(Command::new("rustup").args(["component", "add", "rust-src"]))
        .context("the kernel programs need the compiler's component rust-src")
}

/// Where the compiler in use lies.
pub(super) fn sysroot() -> Result<String> {
    command::output(rustc().args(["--print", "sysroot"]))
}

/// The compiler that the workspace pins.
pub(super) fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(goroscope_tests::workspace::root());
    command
}
