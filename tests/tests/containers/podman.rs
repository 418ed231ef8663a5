//! Debian's podman, with storage of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, requires};
use tempfile::TempDir;

use crate::{cgroup::Cgroup, containerd::unmount_below, image::PROGRAM};

/// Podman's storage, and what runs from it; gone when dropped.
pub(crate) struct Podman {
    podman: PathBuf,
    libraries: PathBuf,
    folder: TempDir,
    pub(crate) cgroup: Cgroup,
}

impl Podman {
    /// Makes its storage; nothing runs yet.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut packages = debian::with_needs("podman", &["podman", "conmon"])?;
        if !packages.join("usr/bin/podman").is_file() {
            // The system has it: nothing was fetched.
            requires::command("podman").map_err(anyhow::Error::msg)?;
            packages = PathBuf::from("/");
        }
        settings(folder.path(), &packages)?;
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let cgroup = Cgroup::new(&format!("goroscope-test-{}-{name}", std::process::id()));
        let podman = packages.join("usr/bin/podman");
        Ok(Self { podman, libraries: packages.join(libraries), folder, cgroup })
    }

    /// Starts the program, for ten minutes at most, in a container of this name; gives its id.
    pub(crate) fn run_program(&self, program: &Path, name: &str) -> Result<String> {
        let root = self.folder.path().join("rootfs");
        let inside = root.join(PROGRAM.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().context("the program is in a folder")?)?;
        fs::copy(program, &inside)?;
        let (parent, root) = (self.cgroup.path(), root.display().to_string());
        let run =
            ["run", "--detach", "--name", name, "--cgroup-parent", &parent, "--rootfs", &root];
        Ok(self.run(&[&run[..], &[PROGRAM, "10m"]].concat())?.trim().to_owned())
    }

    /// Loads an archive with images, of whoever made it.
    pub(crate) fn load(&self, archive: &str) -> Result<()> {
        let policy = self.folder.path().join("policy.json");
        fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)?;
        let policy = policy.display().to_string();
        self.run(&["load", "--signature-policy", &policy, "--input", archive]).map(drop)
    }

    /// Below which its storage is where it is on a host.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    /// A container's main process.
    pub(crate) fn pid(&self, id: &str) -> Result<u32> {
        let text = self.run(&["inspect", "--format", "{{.State.Pid}}", id])?;
        text.trim().parse().with_context(|| format!("podman inspect says {text:?}"))
    }

    /// Ends and removes all its containers.
    pub(crate) fn end(&self) -> Result<()> {
        self.run(&["rm", "--all", "--force", "--time", "0"]).map(drop)
    }

    /// Runs `podman`, and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let folder = self.folder.path();
        let output = Command::new(&self.podman)
            .args(arguments)
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("CONTAINERS_CONF", folder.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", folder.join("storage.conf"))
            .stdin(Stdio::null())
            .output()
            .context("starting podman")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "podman {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let ended = self.end();
        let cleaned = self.cgroup.kill().and_then(|()| unmount_below(self.folder.path()));
        if let Err(error) = ended.and(cleaned) {
            eprintln!("podman could not be cleaned up: {error:#}");
        }
        self.cgroup.remove();
    }
}

fn settings(folder: &Path, packages: &Path) -> Result<()> {
    let runc = debian::package("runc")?.join("usr/sbin/runc");
    let (runc, packages, here) = (runc.display(), packages.display(), folder.display());
    fs::create_dir_all(folder.join("host/var/lib/containers/storage"))?;
    // The limits are those that every host allows.
    let engine = format!(
        r#"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
conmon_path = ["{packages}/usr/bin/conmon"]
tmp_dir = "{here}/tmp"
events_logger = "none"
[engine.runtimes]
runc = ["{runc}"]
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
seccomp_profile = "{packages}/usr/share/containers/seccomp.json"
"#
    );
    fs::write(folder.join("containers.conf"), engine)?;
    let storage = format!(
        r#"
[storage]
driver = "vfs"
graphroot = "{here}/host/var/lib/containers/storage"
runroot = "{here}/run"
"#
    );
    Ok(fs::write(folder.join("storage.conf"), storage)?)
}
