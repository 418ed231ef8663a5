//! Whether what was made can be made again: from a copy of the commit in another folder, with a
//! target folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use goroscope_tests::workspace;

use super::{Kind, arch::Arch, sums};
use crate::command;

/// Makes it again and compares.
pub(super) fn compare(targets: &[Arch], only: &[Kind], folder: &Path) -> Result<()> {
    let other = Copy::make()?;
    println!("once more, in {}", other.0.display());
    let mut again = command::cargo();
    again.current_dir(&other.0).args(["xtask", "dist"]).env_remove("CARGO_TARGET_DIR");
    for target in targets {
        again.args(["--target", target.debian()]);
    }
    for kind in only.iter().filter_map(Kind::to_possible_value) {
        again.args(["--only", kind.get_name()]);
    }
    command::run(&mut again)?;
    let second = other.0.join("target/dist");
    let mut differing = Vec::new();
    for name in sums::files(folder)? {
        if fs::read(folder.join(&name))? != fs::read(second.join(&name)).unwrap_or_default() {
            differing.push(name);
        }
    }
    if differing.is_empty() {
        println!("the same bytes: all {} files", sums::files(folder)?.len());
        return Ok(());
    }
    // To be looked at.
    let kept = workspace::target().join("dist-again");
    let _absent = fs::remove_dir_all(&kept);
    fs::rename(&second, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    bail!("not the same bytes: {}; the second ones are in {}", differing.join(", "), kept.display())
}

/// A checkout of this commit, removed again.
struct Copy(PathBuf);

impl Copy {
    fn make() -> Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(workspace::root()).args(["status", "--porcelain", "--untracked-files=no"]);
        if !command::output(&mut git)?.is_empty() {
            bail!("there are changes that are not committed: what is compared is the commit");
        }
        let path = workspace::target().join("elsewhere/goroscope");
        let copy = Self(path);
        let _absent = fs::remove_dir_all(&copy.0);
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet"]).arg(workspace::root()).arg(&copy.0);
        command::run(&mut clone)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
