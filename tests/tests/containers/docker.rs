//! Debian's Docker Engine, with folders, a socket, a cgroup and a network namespace of its own. It
//! does not touch the host's, if there is one, nor the host's bridges and packet filters.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, poll, process::Guard, requires};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    cgroup::Cgroup,
    containerd::unmount_below,
    image::{self, PROGRAM},
};

/// The image of a test's program.
const IMAGE: &str = "goroscope-test";
/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine; gone with all that it runs when dropped.
pub(crate) struct Docker {
    guard: Guard,
    client: PathBuf,
    pub(crate) cgroup: Cgroup,
    folder: TempDir,
}

impl Docker {
    /// Starts it, without images.
    pub(crate) fn start(name: &str) -> Result<Self> {
        requires::command("unshare").map_err(anyhow::Error::msg)?;
        let docker = debian::package("docker.io")?;
        let needed = [
            docker.join("usr/bin"),
            docker.join("usr/sbin"),
            debian::package("containerd")?.join("usr/bin"),
            debian::package("runc")?.join("usr/sbin"),
        ];
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = needed.into_iter().chain(std::env::split_paths(&inherited));
        let folder = tempfile::tempdir()?;
        let here = folder.path();
        let cgroup = Cgroup::new(&format!("goroscope-test-{}-{name}", std::process::id()));
        fs::write(here.join("daemon.json"), "{}")?;
        let log = fs::File::create(here.join("log"))?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--"])
            .arg(docker.join("usr/sbin/dockerd"))
            .args(["--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false", "--userland-proxy=false"])
            .args(["--cgroup-parent", &cgroup.path()])
            .arg("--host")
            .arg(format!("unix://{}", here.join("d.sock").display()));
        for (option, name) in [
            ("--data-root", "host/var/lib/docker"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
            ("--config-file", "daemon.json"),
        ] {
            command.arg(option).arg(here.join(name));
        }
        command
            .env("PATH", std::env::join_paths(path)?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let guard = Guard::start(&mut command)?;
        let docker = Self { guard, client: docker.join("usr/bin/docker"), cgroup, folder };
        poll::until("docker answers", PATIENCE, || Ok(docker.run(&["version"]).ok()))
            .with_context(|| {
                fs::read_to_string(docker.folder.path().join("log")).unwrap_or_default()
            })?;
        Ok(docker)
    }

    /// Starts the program, for ten minutes at most, in a container of this name; gives its id.
    pub(crate) fn run_program(&self, program: &Path, name: &str) -> Result<String> {
        let root = self.folder.path().join("rootfs");
        let inside = root.join(PROGRAM.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().context("the program is in a folder")?)?;
        fs::copy(program, &inside)?;
        let archive = self.folder.path().join("rootfs.tar");
        image::tar(&root, &archive)?;
        self.run(&["import", &archive.display().to_string(), IMAGE])?;
        let run = ["run", "--detach", "--network", "none", "--name", name, IMAGE, PROGRAM, "10m"];
        Ok(self.run(&run)?.trim().to_owned())
    }

    /// Below which its storage is where it is on a host.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    /// A container's main process.
    pub(crate) fn pid(&self, id: &str) -> Result<u32> {
        let text = self.run(&["inspect", "--format", "{{.State.Pid}}", id])?;
        text.trim().parse().with_context(|| format!("docker inspect says {text:?}"))
    }

    /// Runs `docker`, and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let folder = self.folder.path();
        let output = Command::new(&self.client)
            .arg("--host")
            .arg(format!("unix://{}", folder.join("d.sock").display()))
            .args(arguments)
            // The configuration of whoever runs the tests is none of ours.
            .env("DOCKER_CONFIG", folder)
            .env_remove("DOCKER_CONTEXT")
            .stdin(Stdio::null())
            .output()
            .context("starting docker")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends all that is its own.
    fn clean_up(&mut self) -> Result<()> {
        self.cgroup.kill()?;
        // It ends its containerd as well.
        self.guard.signal(Signal::TERM)?;
        self.guard.wait(PATIENCE)?;
        unmount_below(self.folder.path())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Err(error) = self.clean_up() {
            eprintln!("docker could not be cleaned up: {error:#}");
        }
        self.cgroup.remove();
    }
}
