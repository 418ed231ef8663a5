//! The package for RPM is installed, upgraded, installed anew and erased, by RPM itself, and its scripts
//! run: in a distribution of our own, whose `systemctl` writes down what it is asked for.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{dist, packager::Packager, skip_unless, systemd, workspace};

use super::{
    IN_PACKAGES,
    distribution::{self, Asked, Distribution, Systemd},
    output,
};

const PROGRAM: &str = "/usr/bin/goroscope";
const CONFIGURATION: &str = "/etc/goroscope/goroscope.yml";
const VARIABLES: &str = "/etc/default/goroscope";
/// What the next version has in its unit and its configuration.
const NEXT: &str = "# This is the next version.";
const GONE: &str = "gone";

// As the macros of Fedora do it: presets decide, nothing is started by an installation, what runs is
// started anew by an upgrade once all is there, and stopped while all is there still.
const PRESET: &str = "--no-reload preset goroscope.service goroscope.socket";
const RELOAD: &str = "daemon-reload";
const RESTART: &str = "try-restart goroscope.service";
const DISABLE: &str = "--no-reload disable --now goroscope.socket goroscope.service";

/// The package, where it can be tried.
fn package() -> Result<PathBuf, String> {
    let package = dist::find(|_| dist::rpm(std::env::consts::ARCH))?;
    distribution::usable().map(|()| package)
}

#[test]
fn a_package_for_rpm_comes_and_goes() -> Result<()> {
    let found = package().and_then(|package| Ok((package, Packager::Rpm.find()?)));
    skip_unless!(
        "a_package_for_rpm_comes_and_goes",
        found.as_ref().map(drop).map_err(Clone::clone)
    );
    let (package, packager) = found.map_err(anyhow::Error::msg)?;
    let system = Distribution::make(Systemd::Runs)?;
    let before = system.tree()?;
    let unit = workspace::root().join("deploy/systemd/goroscope.service");
    let unit = fs::read_to_string(unit)?;
    let unit = unit.lines().next().context("the unit has no line")?;

    quiet(&system, &["--install"], Some(&package))?;
    asked(&system, &[(unit, PRESET), (unit, RELOAD)])?;
    whole(&system, &before)?;
    let says = system.run(PROGRAM, &["--version"])?;
    ensure!(says.trim() == format!("goroscope {}", dist::VERSION), "it says {says:?}");

    // What the administrator has written stays; the new defaults are laid beside it.
    let mut changed = fs::read_to_string(system.path(CONFIGURATION))?;
    changed.push_str("probes: always\n");
    fs::write(system.path(CONFIGURATION), &changed)?;
    let version = format!("{}.1", dist::VERSION);
    let next = next(&system, &packager, &version)?;
    let said = system.rpm(&["--upgrade"], Some(&next))?;
    let expected = format!("warning: {CONFIGURATION} created as {CONFIGURATION}.rpmnew\n");
    ensure!(said.success && said.text == expected, "the upgrade: {said:?}");
    asked(&system, &[(NEXT, RELOAD), (NEXT, RELOAD), (NEXT, RESTART)])?;
    let read = |path: &str| -> Result<String> { Ok(fs::read_to_string(system.path(path))?) };
    ensure!(read(CONFIGURATION)? == changed, "the upgrade has changed the configuration");
    let beside = format!("{CONFIGURATION}.rpmnew");
    ensure!(read(&beside)?.starts_with(NEXT), "the new defaults are not beside it");
    ensure!(read(VARIABLES)?.starts_with(NEXT), "the upgrade has left what nobody changed");
    let installed = system.rpm(&["--query", "goroscope"], None)?.text;
    let expected = format!("goroscope-{version}-1.{}\n", std::env::consts::ARCH);
    ensure!(installed == expected, "installed are {installed}");
    fs::remove_file(system.path(&beside))?;

    quiet(&system, &["--reinstall"], Some(&next))?;
    asked(&system, &[(NEXT, RELOAD), (NEXT, RELOAD), (NEXT, RESTART)])?;
    ensure!(read(CONFIGURATION)? == changed, "it was installed anew over the configuration");
    // Nothing but that one file is other than the package has it.
    let differs = system.rpm(&["--verify", "goroscope"], None)?.text;
    ensure!(differs.lines().count() == 1 && differs.contains(CONFIGURATION), "{differs}");

    let own = "/etc/goroscope/web.yml";
    fs::write(system.path(own), "the administrator's\n")?;
    let said = system.rpm(&["--erase", "goroscope"], None)?;
    let kept = format!("{CONFIGURATION}.rpmsave");
    let expected = format!("warning: {CONFIGURATION} saved as {kept}\n");
    ensure!(said.success && said.text == expected, "the erasure: {said:?}");
    asked(&system, &[(NEXT, DISABLE), (GONE, RELOAD)])?;
    ensure!(read(&kept)? == changed, "what is kept of the configuration is something else");
    left(&system, &before, &["/etc/goroscope", &kept, own])
}

#[test]
fn a_package_for_rpm_does_without_systemd() -> Result<()> {
    let found = package();
    skip_unless!(
        "a_package_for_rpm_does_without_systemd",
        found.as_ref().map(drop).map_err(Clone::clone)
    );
    let package = found.map_err(anyhow::Error::msg)?;
    for systemd in [Systemd::Refuses, Systemd::Missing] {
        let system = Distribution::make(systemd)?;
        let before = system.tree()?;
        quiet(&system, &["--install"], Some(&package))?;
        let asked = system.asked()?.len();
        ensure!((asked > 0) == (systemd == Systemd::Refuses), "{systemd:?}: {asked} times asked");
        whole(&system, &before)?;
        quiet(&system, &["--erase", "goroscope"], None)?;
        left(&system, &before, &[])?;
    }
    Ok(())
}

#[test]
fn systemd_does_what_a_package_for_rpm_asks() -> Result<()> {
    skip_unless!("systemd_does_what_a_package_for_rpm_asks", systemd::usable());
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let (units, presets) = ("usr/lib/systemd/system", "usr/lib/systemd/system-preset");
    for folder in [units, presets, "etc/systemd/system"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for unit in ["goroscope.service", "goroscope.socket"] {
        fs::copy(workspace::root().join("deploy/systemd").join(unit), root.join(units).join(unit))?;
    }
    let (service, socket) =
        ("multi-user.target.wants/goroscope.service", "sockets.target.wants/goroscope.socket");
    let enabled = || -> Vec<&str> {
        let link = |link: &&str| root.join("etc/systemd/system").join(link).is_symlink();
        [service, socket].into_iter().filter(link).collect()
    };
    // Where there is no service manager nothing is stopped: it says so, and fails after the rest.
    let ask = |words: &str| -> Result<()> {
        let words = words.split(' ').filter(|word| *word != "--now");
        output(systemd::systemctl(root)?.args(words)).map(drop)
    };
    let preset = |text: &str| fs::write(root.join(presets).join("50-test.preset"), text);
    preset("disable *\n")?;
    ask(PRESET)?;
    ensure!(enabled().is_empty(), "it was enabled although the preset says no: {:?}", enabled());
    preset("enable goroscope.service\ndisable *\n")?;
    ask(PRESET)?;
    ensure!(enabled() == [service], "the preset is for the service alone: {:?}", enabled());
    ask("enable goroscope.socket")?;
    ensure!(enabled() == [service, socket], "what was enabled is {:?}", enabled());
    ask(DISABLE)?;
    ensure!(enabled().is_empty(), "enabled although the package goes: {:?}", enabled());
    Ok(())
}

/// Does something of which nothing is to be said.
fn quiet(system: &Distribution, arguments: &[&str], file: Option<&Path>) -> Result<()> {
    let said = system.rpm(arguments, file)?;
    ensure!(said.success && said.text.is_empty(), "rpm {arguments:?}: {said:?}");
    Ok(())
}

/// Systemd was asked for this, in this order, each time with this unit in place.
fn asked(system: &Distribution, expected: &[(&str, &str)]) -> Result<()> {
    let asked = system.asked()?;
    let own = |&(unit, words): &(&str, &str)| Asked { unit: unit.into(), words: words.into() };
    ensure!(asked == expected.iter().map(own).collect::<Vec<_>>(), "systemd was asked: {asked:?}");
    Ok(())
}

/// Everything of the package is there, as it should be, and nothing else.
fn whole(system: &Distribution, before: &distribution::Tree) -> Result<()> {
    let listed = system.rpm(&["--query", "--list", "goroscope"], None)?.text;
    let listed: BTreeSet<&str> = listed.lines().collect();
    for file in IN_PACKAGES {
        ensure!(listed.contains(file), "{file} is not in the package");
    }
    let now = system.tree()?;
    let mut files = BTreeSet::new();
    for (path, entry) in now.iter().filter(|(path, _)| !before.contains_key(*path)) {
        let path = path.to_str().context("a name that is no text")?;
        let mode = match entry.size {
            None => 0o040_755,
            Some(_) if path == PROGRAM => 0o100_755,
            Some(_) => 0o100_644,
        };
        ensure!(entry.mode == mode, "{path} has mode {:o}", entry.mode);
        ensure!(entry.owner == (0, 0), "{path} belongs to {:?}", entry.owner);
        if entry.size.is_some() {
            files.insert(path);
        }
    }
    ensure!(files == listed, "there are {files:?}, in the package are {listed:?}");
    let touched = before.iter().find(|(path, entry)| now.get(*path) != Some(entry));
    ensure!(touched.is_none(), "a file of the system was changed: {touched:?}");
    // Sizes, sums, modes, owners and what it needs, by RPM's own records.
    quiet(system, &["--verify", "goroscope"], None)?;
    // What the unit names is there.
    let unit = fs::read_to_string(system.path("/usr/lib/systemd/system/goroscope.service"))?;
    let named: BTreeSet<&str> = unit
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ExecStart=").or_else(|| line.strip_prefix("EnvironmentFile=-"))
        })
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with('/'))
        .collect();
    let expected = BTreeSet::from([PROGRAM, CONFIGURATION, VARIABLES]);
    ensure!(named == expected && named.is_subset(&files), "the unit names {named:?}");
    Ok(())
}

/// All is as it was before, but for these.
fn left(system: &Distribution, before: &distribution::Tree, kept: &[&str]) -> Result<()> {
    let mut now = system.tree()?;
    for path in kept {
        ensure!(now.remove(Path::new(path)).is_some(), "{path} is not left");
    }
    let lost: Vec<_> = before.iter().filter(|(path, was)| now.get(*path) != Some(was)).collect();
    let more: Vec<_> = now.keys().filter(|path| !before.contains_key(*path)).collect();
    ensure!(lost.is_empty() && more.is_empty(), "left over: {more:?}; lost or changed: {lost:?}");
    Ok(())
}

/// A later version of the one that is installed, made of its files by what makes the package. Its unit
/// and configuration have another first line.
fn next(system: &Distribution, packager: &Path, version: &str) -> Result<PathBuf> {
    let sources = system.beside().join("sources");
    fs::create_dir(&sources)?;
    for entry in fs::read_dir(workspace::root())? {
        let entry = entry?;
        let name = entry.file_name();
        if !["deploy", "target", ".git"].iter().any(|other| name == *other) {
            symlink(entry.path(), sources.join(name))?;
        }
    }
    copy(&workspace::root().join("deploy"), &sources)?;
    for name in ["goroscope.service", "goroscope.yml", "goroscope.default"] {
        let path = sources.join("deploy/systemd").join(name);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, format!("{NEXT}\n{text}"))?;
    }
    let built = sources.join("target/release");
    let stage = built.join("stage");
    for (from, to) in [
        ("/usr/share/man/man1/.", stage.join("man")),
        ("/usr/share/bash-completion/completions/goroscope", stage.join("completions")),
        ("/usr/share/zsh/site-functions/_goroscope", stage.join("completions")),
        ("/usr/share/fish/vendor_completions.d/goroscope.fish", stage.join("completions")),
        ("/usr/share/doc/goroscope/parts.cdx.json", stage.clone()),
        (PROGRAM, built),
    ] {
        fs::create_dir_all(&to)?;
        copy(&system.path(from), &to)?;
    }
    let package = system.beside().join("next.rpm");
    let mut make = Command::new(packager);
    make.current_dir(&sources)
        .env_remove("CARGO_BUILD_TARGET")
        .args(["--package", "agent", "--auto-req", "disabled", "--payload-compress", "none"])
        .args(["--arch", std::env::consts::ARCH, "--target-dir", "target"])
        .arg(format!("--set-metadata=version = {version:?}"))
        .arg("--output")
        .arg(&package);
    output(&mut make)?;
    Ok(package)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    output(Command::new("cp").arg("-R").arg(from).arg(to)).map(drop)
}
