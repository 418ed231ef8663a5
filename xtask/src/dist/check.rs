//! A binary is what it should be before anything is made of it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::dist;

use super::{Binary, arch::Arch};
use crate::command;

/// It needs no other file.
pub(super) fn is_static(binary: &Binary) -> Result<()> {
    dist::check_static(&binary.path, binary.arch.machine())
}

/// It starts, here or emulated.
pub(super) fn runs(binary: &Binary) -> Result<()> {
    let mut command = match runner(binary) {
        Ok(command) => command,
        Err(reason) => {
            println!("not run: {}: {reason}", binary.path.display());
            return Ok(());
        }
    };
    let says = command::output(command.arg("--version"))
        .with_context(|| format!("the binary for {}", binary.arch.debian()))?;
    let expected = format!("goroscope {}", dist::VERSION);
    ensure!(says == expected, "the binary for {} says {says:?}", binary.arch.debian());
    Ok(())
}

/// A command that runs the binary.
pub(super) fn runner(binary: &Binary) -> Result<Command, String> {
    if Arch::host() == Some(binary.arch) {
        return Ok(Command::new(&binary.path));
    }
    Ok(match dist::emulator(binary.arch.kernel())? {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(&binary.path);
            command
        }
        None => Command::new(&binary.path),
    })
}
