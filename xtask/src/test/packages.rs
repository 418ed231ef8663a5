//! What is shipped, made for the tests that try it. Tests wait more than they compute, so it is made
//! beside them, behind everything else in line for the processors.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use goroscope_tests::{process::Guard, workspace};

use super::binaries::Binary;
use crate::dist;

/// The tests that need it.
const USERS: [&str; 3] = ["tests::containers", "tests::dist", "tests::guest"];
/// Longest time that it may take once nothing else is left to do.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Lines of its output that are shown where it fails.
const SHOWN: usize = 40;

/// Packages in the making.
pub(super) struct Packages {
    making: Guard,
    log: PathBuf,
}

impl Packages {
    /// Begins.
    pub(super) fn begin() -> Result<Self> {
        let log = workspace::target().join("dist.log");
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(env::current_exe().context("this program has no path")?)
            .args(["dist", "--target", dist::host()?])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Self { making: Guard::start(&mut command)?, log })
    }

    /// Waits for them.
    pub(super) fn finish(mut self) -> Result<()> {
        let status = self.making.wait(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let end = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
        bail!("{status}\n{}", end.join("\n"))
    }
}

/// Whether tests try what is shipped.
pub(super) fn are_tried_by(binary: &Binary) -> bool {
    USERS.contains(&binary.name.as_str())
}
