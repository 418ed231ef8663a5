//! A fixture in a container of runc's: pid, mount, user and other namespaces of its own, and a root
//! folder with nothing in it but the fixture.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{debian, requires, speaker::Speaker};

/// The host's user that the container's root is: nobody's number anywhere else.
const ROOT_OUTSIDE: u32 = 1_481_072;

/// A running container; deleted when dropped.
#[derive(Debug)]
pub struct Container {
    runc: PathBuf,
    id: String,
    folder: TempDir,
    speaker: Speaker,
}

#[derive(Deserialize)]
struct State {
    pid: u32,
}

impl Container {
    /// Starts a static fixture in a new container and waits until it is ready.
    ///
    /// # Errors
    /// Where there is no runc, or it cannot start containers here; its log is in the error.
    pub fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(None, program, arguments)
    }

    /// As [`Container::start`], in the cgroup with this path.
    ///
    /// # Errors
    /// As there.
    pub fn start_in(cgroup: &str, program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(Some(cgroup), program, arguments)
    }

    fn start_with(cgroup: Option<&str>, program: &Path, arguments: &[&str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id =
            format!("goroscope-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let runc = runc()?;
        let folder = bundle(cgroup, program, arguments)?;
        let log = folder.path().join("log");
        let mut command = runc_command(&runc, &folder);
        command.arg("--log").arg(&log).args(["run", "--bundle"]).arg(folder.path()).arg(&id);
        let speaker = Speaker::start_command(&mut command);
        let speaker = speaker.with_context(|| {
            format!("runc cannot start it: {}", fs::read_to_string(&log).unwrap_or_default())
        });
        match speaker {
            Ok(speaker) => Ok(Self { runc, id, folder, speaker }),
            Err(error) => {
                delete(&runc, &folder, &id);
                Err(error)
            }
        }
    }

    /// The fixture.
    pub fn speaker(&mut self) -> &mut Speaker {
        &mut self.speaker
    }

    /// The fixture's process id, as the host has it.
    ///
    /// # Errors
    /// Where runc no longer knows the container.
    pub fn pid(&self) -> Result<u32> {
        let output = runc_command(&self.runc, &self.folder).args(["state", &self.id]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "runc state {}: {errors}", self.id);
        Ok(serde_json::from_slice::<State>(&output.stdout)?.pid)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        delete(&self.runc, &self.folder, &self.id);
    }
}

/// Ends and deletes a container.
fn delete(runc: &Path, folder: &TempDir, id: &str) {
    // It fails where the fixture has ended of itself: then runc has cleaned up already.
    let _ = runc_command(runc, folder)
        .args(["delete", "--force", id])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// What runs containers: the host's own, else Debian's package.
pub(crate) fn runc() -> Result<PathBuf> {
    if requires::command("runc").is_ok() {
        return Ok("runc".into());
    }
    Ok(debian::package("runc")?.join("usr/sbin/runc"))
}

fn runc_command(runc: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new(runc);
    command.arg("--root").arg(folder.path().join("state"));
    command
}

/// A bundle as the OCI's runtime specification has it
/// (<https://github.com/opencontainers/runtime-spec/blob/v1.0.2/bundle.md>).
fn bundle(cgroup: Option<&str>, program: &Path, arguments: &[&str]) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("rootfs");
    fs::create_dir(&root)?;
    fs::copy(program, root.join("program"))
        .with_context(|| format!("copying {}", program.display()))?;
    // The container's root may not make what is missing: to it the files belong to nobody.
    for mountpoint in ["proc", "dev"] {
        fs::create_dir(root.join(mountpoint))?;
    }
    for path in [folder.path(), &root, &root.join("program")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let mut command = vec!["/program"];
    command.extend(arguments);
    let namespaces = ["pid", "mount", "user", "ipc", "uts", "network"];
    let mapping = json!([{ "containerID": 0, "hostID": ROOT_OUTSIDE, "size": 65_536 }]);
    let none: [&str; 0] = [];
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": command,
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": none, "effective": none, "permitted": none, "ambient": none,
            },
        },
        "root": { "path": "rootfs" },
        "hostname": "inner",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
        ],
        "linux": {
            "namespaces": namespaces.map(|kind| json!({ "type": kind })),
            "uidMappings": mapping,
            "gidMappings": mapping,
        },
    });
    let linux = config.get_mut("linux").and_then(Value::as_object_mut);
    if let (Some(cgroup), Some(linux)) = (cgroup, linux) {
        linux.insert("cgroupsPath".to_owned(), json!(cgroup));
    }
    fs::write(folder.path().join("config.json"), serde_json::to_vec_pretty(&config)?)?;
    Ok(folder)
}
