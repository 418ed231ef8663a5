//! Programs as Debian ships them: packages, extracted into the cache folder. Nothing is installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{cache, requires};

/// The folder with the files of the newest version of this package that apt knows, below which
/// they lie as on a system: `usr/bin/prometheus`. Downloaded at first use, kept afterwards.
///
/// # Errors
/// Where apt is missing, or does not find the package, or cannot download it.
pub fn package(name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    ensure!(
        name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "{name:?} is no name of a Debian package"
    );
    let packages = cache::folder()?.join("debian");
    let folder = packages.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _lock = cache::lock(&format!("debian-{name}"))?;
    if folder.is_dir() {
        return Ok(folder);
    }
    usable().map_err(anyhow::Error::msg).with_context(|| format!("the package {name}"))?;
    // What an earlier attempt left behind is in the way of this one.
    let partial = packages.join(format!(".{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    let (archive, content) = (partial.join("archive"), partial.join("content"));
    for path in [&archive, &content] {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
    }
    download(name, &archive, &packages)
        .with_context(|| format!("downloading the package {name}"))?;
    let file = only_file(&archive)?;
    run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&content))
        .with_context(|| format!("extracting {}", file.display()))?;
    fs::rename(&content, &folder).with_context(|| format!("renaming {}", content.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    Ok(folder)
}

/// Downloads a package by the lists of packages that the system has; where it has none, or old ones,
/// by lists of our own, which are fetched into the cache folder.
fn download(name: &str, into: &Path, packages: &Path) -> Result<()> {
    let fetch = |options: &[String]| {
        let mut apt = Command::new("apt-get");
        run(apt.args(options).args(["-q", "download", name]).current_dir(into))
    };
    if fetch(&[]).is_ok() {
        return Ok(());
    }
    let lists = packages.join(".lists");
    fs::create_dir_all(lists.join("partial"))
        .with_context(|| format!("creating {}", lists.display()))?;
    let options = [
        "-o".to_owned(),
        format!("Dir::State::lists={}", lists.display()),
        "-o".to_owned(),
        format!("Dir::Cache={}", lists.display()),
        // As root apt would fetch as a user that may not write there.
        "-o".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
    ];
    run(Command::new("apt-get").args(&options).args(["-q", "update"]))?;
    fetch(&options)
}

/// Whether packages can be had here.
///
/// # Errors
/// Which command is missing, and what to do.
pub fn usable() -> Result<(), String> {
    for command in ["apt-get", "dpkg-deb"] {
        requires::command(command).map_err(|reason| {
            format!("{reason}: Debian's packages can only be had on Debian and what descends of it")
        })?;
    }
    Ok(())
}

/// Runs a command in silence; its output is in the error.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, errors.trim());
    }
    Ok(())
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries =
        fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let first = entries
        .next()
        .with_context(|| format!("nothing was downloaded to {}", folder.display()))?;
    Ok(first?.path())
}
