//! systemd, booted in namespaces of its own: it sees no process of the host, and no unit but those
//! that it is given. The network is the host's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{poll, process::Guard, requires};

const PROGRAM: &str = "/lib/systemd/systemd";
/// For everything that systemd has to do once.
const PATIENCE: Duration = Duration::from_secs(20);
/// What units refer to. They pull nothing in.
const TARGETS: [&str; 8] =
    ["sysinit", "basic", "shutdown", "multi-user", "sockets", "network-online", "network", "exit"];
/// Becomes systemd; its argument is the folder with the units.
const INIT: &str = r#"set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system /run/goroscope-test
mount -t cgroup2 none /sys/fs/cgroup
mount --bind "$1/units" /lib/systemd/system
mount -t tmpfs none /etc/systemd/system
mount --bind "$1/none" /lib/systemd/system-generators
mount -t proc none /proc
export container=other
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=false
"#;

/// A running systemd; ended when dropped, with all that it started.
#[derive(Debug)]
pub struct Booted {
    guard: Guard,
    /// Of systemd, as the host sees it.
    pid: u32,
    cgroup: PathBuf,
    folder: TempDir,
}

/// Whether systemd can be booted here.
///
/// # Errors
/// What is missing.
pub fn usable() -> Result<(), String> {
    requires::root()?;
    for command in ["unshare", "nsenter", "mount"] {
        requires::command(command)?;
    }
    if !Path::new(PROGRAM).exists() {
        return Err(format!("systemd is not installed ({PROGRAM})"));
    }
    cgroups().map(drop).map_err(|error| format!("{error:#}"))
}

/// Where version 2 of the control groups is.
fn cgroups() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let found = mounts.find_map(|mut fields| {
        let place = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    found.context("cgroup2 is not mounted")
}

impl Booted {
    /// Boots with these units, by name and text, the first of which are started.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn with(units: &[(&str, String)], wanted: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().join("units");
        fs::create_dir_all(&place)?;
        fs::create_dir_all(folder.path().join("none"))?;
        for target in TARGETS {
            let text = "[Unit]\nDescription=nothing\nDefaultDependencies=no\n";
            fs::write(place.join(format!("{target}.target")), text)?;
        }
        let wanted = wanted.join(" ");
        let target = format!("[Unit]\nDescription=test\nDefaultDependencies=no\nWants={wanted}\n");
        fs::write(place.join("test.target"), target)?;
        for (name, text) in units {
            let path = place.join(name);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, text)?;
        }
        let init = folder.path().join("init.sh");
        fs::write(&init, INIT)?;
        let cgroup = cgroups()?.join(format!("goroscope-test-{}", std::process::id()));
        fs::create_dir_all(&cgroup)?;
        let script = "echo $$ >\"$1/cgroup.procs\" && shift && exec unshare --pid --fork --kill-child \
                      --mount --cgroup --uts --ipc sh \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&cgroup).arg(&init).arg(folder.path());
        let console = fs::File::create(folder.path().join("console"))?;
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        let guard = Guard::start(&mut command)?;
        let mut booted = Self { guard, pid: 0, cgroup, folder };
        let words = || fs::read_to_string(booted.folder.path().join("console"));
        let parent = booted.guard.pid();
        booted.pid = poll::until("systemd runs", PATIENCE, || {
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
            let child = children.split_whitespace().next().context("no child")?.parse::<u32>()?;
            let comm = fs::read_to_string(format!("/proc/{child}/comm"))?;
            Ok((comm.trim() == "systemd").then_some(child))
        })
        .with_context(|| words().unwrap_or_default())?;
        poll::until("systemd answers", PATIENCE, || {
            booted.systemctl(&["show", "--property=Version"]).map(Some)
        })
        .with_context(|| words().unwrap_or_default())?;
        Ok(booted)
    }

    /// What `systemctl` says.
    ///
    /// # Errors
    /// Where it fails.
    pub fn systemctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--target", &self.pid.to_string(), "systemctl"]);
        command.arg("--no-pager").args(arguments).stdin(Stdio::null());
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "systemctl {arguments:?}: {}: {errors}", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// As [`Self::systemctl`].
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.systemctl(&["show", "--value", "--property", name, unit])
    }

    /// Where a path of its own is, for the host.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // Its end is systemd's, and systemd's that of all that it started.
        let _ = self.guard.signal(Signal::KILL);
        for _ in 0..100 {
            if remove(&self.cgroup).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Removes a control group and those below it; they must be empty.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
