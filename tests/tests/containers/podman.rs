//! Debian's podman, with storage of its own, and one container.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, requires};
use tempfile::TempDir;

use crate::{cgroup::Cgroup, containerd::unmount_below, image::PROGRAM};

/// A running container of podman's; gone with its storage when dropped.
pub(crate) struct Podman {
    podman: PathBuf,
    libraries: PathBuf,
    folder: TempDir,
    pub(crate) cgroup: Cgroup,
    id: String,
}

impl Podman {
    /// Starts the program, for ten minutes at most, in a container of this name.
    pub(crate) fn start(program: &Path, name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut packages = debian::with_needs("podman", &["podman", "conmon"])?;
        if !packages.join("usr/bin/podman").is_file() {
            // The system has it: nothing was fetched.
            requires::command("podman").map_err(anyhow::Error::msg)?;
            packages = PathBuf::from("/");
        }
        let root = folder.path().join("rootfs");
        let inside = root.join(PROGRAM.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().context("the program is in a folder")?)?;
        fs::copy(program, &inside)?;
        settings(folder.path(), &packages)?;
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let cgroup = Cgroup::new(&format!("goroscope-test-{}-podman", std::process::id()));
        let mut podman = Self {
            podman: packages.join("usr/bin/podman"),
            libraries: packages.join(libraries),
            folder,
            cgroup,
            id: String::new(),
        };
        let (parent, root) = (podman.cgroup.path(), root.display().to_string());
        let run =
            ["run", "--detach", "--name", name, "--cgroup-parent", &parent, "--rootfs", &root];
        podman.id = podman.run(&[&run[..], &[PROGRAM, "10m"]].concat())?.trim().to_owned();
        Ok(podman)
    }

    /// The container's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Below which its storage is where it is on a host.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    /// The container's main process.
    pub(crate) fn pid(&self) -> Result<u32> {
        let text = self.run(&["inspect", "--format", "{{.State.Pid}}", &self.id])?;
        text.trim().parse().with_context(|| format!("podman inspect says {text:?}"))
    }

    /// Ends and removes the container.
    pub(crate) fn end(&self) -> Result<()> {
        self.run(&["rm", "--force", "--ignore", "--time", "0", &self.id]).map(drop)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
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
        let ended = if self.id.is_empty() { Ok(()) } else { self.end() };
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
