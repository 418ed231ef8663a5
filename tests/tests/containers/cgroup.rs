//! The cgroups of a test, in all hierarchies.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::containerd::kill;

/// How long processes may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cgroup with a name that nobody else has.
pub(crate) struct Cgroup {
    name: String,
}

impl Cgroup {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Its path, for the agent's selection and as the parent of others.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// Kills all that is in it.
    pub(crate) fn kill(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let pids: Vec<u32> = self
                .folders()?
                .iter()
                .filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
                .flat_map(|text| {
                    text.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
                })
                .collect();
            if pids.is_empty() || Instant::now() > deadline {
                return Ok(());
            }
            pids.into_iter().filter(|pid| *pid != 0).for_each(kill);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes it.
    pub(crate) fn remove(&self) {
        for folder in self.folders().unwrap_or_default().into_iter().rev() {
            // Who has just been killed may be in it a moment longer.
            for _ in 0..50 {
                if fs::remove_dir(&folder).is_ok() || !folder.exists() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Its folders and those in it, outer before inner.
    fn folders(&self) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        let root = Path::new("/sys/fs/cgroup");
        let mut tops = vec![root.join(&self.name)];
        for entry in fs::read_dir(root)?.flatten() {
            tops.push(entry.path().join(&self.name));
        }
        tops.into_iter().filter(|top| top.is_dir()).for_each(|top| collect(top, &mut folders));
        Ok(folders)
    }
}

fn collect(folder: PathBuf, folders: &mut Vec<PathBuf>) {
    let inner = fs::read_dir(&folder).into_iter().flatten().flatten();
    let inner: Vec<_> = inner.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.push(folder);
    inner.into_iter().for_each(|folder| collect(folder, folders));
}
