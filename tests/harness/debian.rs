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
    named(name)?;
    once(name, |archive, content| {
        let packages = cache::folder()?.join("debian");
        let mut download = Command::new("apt-get");
        download.args(["-q", "download", name]).current_dir(archive);
        apt(&mut download, &packages).with_context(|| format!("downloading the package {name}"))?;
        extract(&only_file(archive)?, content)
    })
}

/// The folder with the files of these packages and of all that they need and the system does not
/// have, under this name. For programs with many libraries.
///
/// # Errors
/// As [`package`].
pub fn with_needs(name: &str, wanted: &[&str]) -> Result<PathBuf> {
    wanted.iter().chain([&name]).try_for_each(|name| named(name))?;
    once(&format!("{name}-with-needs"), |archive, content| {
        let packages = cache::folder()?.join("debian");
        fs::create_dir_all(archive.join("partial"))?;
        let mut install = Command::new("apt-get");
        install
            .args(["-q", "-y", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", "-o"])
            .arg(format!("Dir::Cache::archives={}", archive.display()))
            .args(["--download-only", "--no-install-recommends", "install"])
            .args(wanted);
        apt(&mut install, &packages)
            .with_context(|| format!("downloading the packages {}", wanted.join(", ")))?;
        for entry in fs::read_dir(archive)? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                extract(&file, content)?;
            }
        }
        Ok(())
    })
}

fn named(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    ensure!(
        name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()),
        "{name:?} is no name of a Debian package"
    );
    Ok(())
}

/// The folder of this name, which `fetch` fills at first use: it gets a folder for what it
/// downloads, and one for the files.
fn once(name: &str, fetch: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
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
    fetch(&archive, &content)?;
    fs::rename(&content, &folder).with_context(|| format!("renaming {}", content.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    Ok(folder)
}

/// Extracts a package into a folder.
fn extract(file: &Path, content: &Path) -> Result<()> {
    run(Command::new("dpkg-deb").arg("-x").arg(file).arg(content))
        .with_context(|| format!("extracting {}", file.display()))
}

/// Runs a command of apt by the lists of packages that the system has; where it has none, or old
/// ones, by lists of our own, which are fetched into the cache folder.
fn apt(command: &mut Command, packages: &Path) -> Result<()> {
    if run(command).is_ok() {
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
    // Of an option that is given twice the later counts: the folder for archives stays.
    let mut again = Command::new(command.get_program());
    again.args(&options).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        again.current_dir(folder);
    }
    run(&mut again)
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
