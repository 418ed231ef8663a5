//! `cargo xtask build`: `target/release/goroscope`.

use anyhow::Result;
use goroscope_tests::workspace;

use crate::{command, setup};

/// Builds the release binary, the kernel programs inside it.
pub(crate) fn release() -> Result<()> {
    setup::for_build()?;
    command::run(command::cargo().args(["build", "--release", "-p", "goroscope"]))?;
    println!("built: {}", workspace::target().join("release/goroscope").display());
    Ok(())
}
