//! Debian's containerd, with folders, a socket and a cgroup of its own. It does not touch the
//! host's, if there is one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, poll, process::Guard};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{cgroup::Cgroup, cri::Client, image};

/// The image that everything runs.
pub(crate) const IMAGE: &str = "goroscope.test/short:1";
/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running containerd; gone with all that it runs when dropped.
pub(crate) struct Containerd {
    guard: Option<Guard>,
    bin: PathBuf,
    pub(crate) cgroup: Cgroup,
    folder: TempDir,
}

/// A container's main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) pid: u32,
}

impl Containerd {
    /// Starts it, with an image that runs this program, for ten minutes where nothing else is said.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let bin = debian::package("containerd")?.join("usr/bin");
        let folder = tempfile::tempdir()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let cgroup = Cgroup::new(&format!("goroscope-test-{}-{number}", std::process::id()));
        fs::write(folder.path().join("config.toml"), config(folder.path())?)?;
        let mut containerd = Self { guard: None, bin, cgroup, folder };
        containerd.begin()?;
        let archive = image::write(containerd.folder.path(), IMAGE, program, &["10m"])?;
        let archive = archive.display().to_string();
        containerd.ctr(&["images", "import", "--snapshotter", "native", &archive])?;
        Ok(containerd)
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    /// A folder for whatever the test needs; gone with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the daemon; what it ran before goes on.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut path = vec![self.bin.clone()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new(self.bin.join("containerd"));
        command
            .arg("--config")
            .arg(self.folder.path().join("config.toml"))
            .env("PATH", std::env::join_paths(path)?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.guard = Some(Guard::start(&mut command)?);
        poll::until("containerd answers", PATIENCE, || {
            Ok(Client::new(&self.socket()).and_then(|client| client.list()).ok())
        })
        .map(drop)
        .with_context(|| fs::read_to_string(self.log()).unwrap_or_default())
    }

    /// Ends the daemon; what it runs goes on.
    pub(crate) fn end(&mut self) -> Result<()> {
        if let Some(mut guard) = self.guard.take() {
            guard.signal(Signal::TERM)?;
            guard.wait(PATIENCE)?;
        }
        Ok(())
    }

    /// The main processes of all containers, those that hold a pod together included.
    pub(crate) fn tasks(&self) -> Result<Vec<Task>> {
        let text = self.ctr(&["tasks", "ls"])?;
        let task = |line: &str| {
            let mut words = line.split_whitespace();
            let (id, pid, state) = (words.next()?, words.next()?, words.next()?);
            (state == "RUNNING").then_some(())?;
            Some(Task { id: id.to_owned(), pid: pid.parse().ok()? })
        };
        Ok(text.lines().skip(1).filter_map(task).collect())
    }

    /// The main process of a container.
    pub(crate) fn pid(&self, id: &str) -> Result<u32> {
        let task = self.tasks()?.into_iter().find(|task| task.id == id);
        Ok(task.with_context(|| format!("container {id} does not run"))?.pid)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Runs `ctr`, and gives what it prints.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.bin.join("ctr"));
        command.arg("--address").arg(self.socket()).args(["--namespace", "k8s.io"]);
        let output = command.args(arguments).stdin(Stdio::null()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ctr {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends all that is its own, with or without the daemon's help.
    fn clean_up(&mut self) -> Result<()> {
        let removed = match &self.guard {
            Some(_) => Client::new(&self.socket()).and_then(|client| client.remove_all()),
            None => Ok(()),
        };
        self.cgroup.kill()?;
        self.end()?;
        // The shims have the path of our socket in their arguments, and nobody else has.
        let socket = self.socket();
        for pid in pids_with_argument(&socket.display().to_string())? {
            kill(pid);
        }
        unmount_below(self.folder.path())?;
        self.cgroup.remove();
        removed
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Err(error) = self.clean_up() {
            eprintln!("containerd could not be cleaned up: {error:#}");
        }
    }
}

fn config(folder: &Path) -> Result<String> {
    let folder = folder.display();
    let runc = debian::package("runc")?.join("usr/sbin/runc");
    let runc = runc.display();
    Ok(format!(
        r#"
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{folder}/c.sock"
[ttrpc]
  address = "{folder}/c.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni/bin"
    conf_dir = "{folder}/cni/conf"
"#
    ))
}

/// Processes with this among their arguments.
fn pids_with_argument(argument: &str) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if arguments.split(|byte| *byte == 0).any(|one| one == argument.as_bytes()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// Kills a process that is known to be the test's own.
pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Unmounts all below a folder.
pub(crate) fn unmount_below(folder: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let below = points.filter(|point| Path::new(point).starts_with(folder));
    // The last mounted first.
    for point in below.collect::<Vec<_>>().into_iter().rev() {
        let _ = Command::new("umount").args(["--lazy", point]).status();
    }
    Ok(())
}
