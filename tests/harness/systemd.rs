//! systemd's own judgement of a unit, and what it does with one where it does not run: the system's
//! `systemd-analyze` and `systemctl`, or Debian's.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{debian, requires};

/// The command `systemd-analyze`, without arguments.
///
/// # Errors
/// Where the system has none, and apt cannot get it.
pub fn analyze() -> Result<Command> {
    tool("systemd-analyze")
}

/// The command `systemctl` for the system in this folder, without further arguments. It talks to no
/// service manager.
///
/// # Errors
/// As [`analyze`].
pub fn systemctl(root: &Path) -> Result<Command> {
    let mut command = tool("systemctl")?;
    command.arg("--root").arg(root);
    Ok(command)
}

fn tool(name: &str) -> Result<Command> {
    if requires::command(name).is_ok() {
        return Ok(Command::new(name));
    }
    let files = debian::with_needs("systemd-analyze", &["systemd"])?;
    // Where /bin is not /usr/bin, systemctl is in the first.
    let found = ["usr/bin", "bin"].map(|folder| files.join(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    let program = found.with_context(|| format!("the package systemd has no {name}"))?;
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["usr/lib/TRIPLET/systemd", "usr/lib/TRIPLET", "lib/TRIPLET", "usr/lib/systemd"];
    let libraries = folders.map(|folder| files.join(folder.replace("TRIPLET", &triplet)));
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    Ok(command)
}

/// Its version: `252`.
///
/// # Errors
/// Where there is none, or it does not run.
pub fn version() -> Result<u32> {
    let output = analyze()?.arg("--version").stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    number.with_context(|| format!("no version in {text:?}"))
}

/// Whether there is one that runs.
///
/// # Errors
/// Why not.
pub fn usable() -> Result<(), String> {
    version().map(drop).map_err(|error| format!("no systemd-analyze: {error:#}"))
}
