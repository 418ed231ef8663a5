//! Made-up `/proc` trees for tests.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::proc_fs::ProcFs;

/// A made-up tree; removed when dropped.
pub(crate) struct MadeUp(tempfile::TempDir);

impl MadeUp {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn procfs(&self) -> ProcFs {
        ProcFs::new(self.root())
    }

    pub(crate) fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.root().join(path)).unwrap();
        self
    }

    pub(crate) fn file(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, to: impl AsRef<Path>) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
        self
    }

    /// `/proc/PID/stat` with a state and a start time.
    pub(crate) fn stat(&self, pid: u32, comm: &str, state: char, start: u64) -> &Self {
        self.file(&format!("{pid}/stat"), stat_line(pid, comm, state, 1, 0, start))
    }

    /// A kernel thread.
    pub(crate) fn kernel_thread(&self, pid: u32) -> &Self {
        self.file(&format!("{pid}/stat"), stat_line(pid, "kthreadd", 'S', 0, 0x0020_8040, 1))
            .file(&format!("{pid}/status"), format!("Tgid:\t{pid}\n"))
    }

    pub(crate) fn thread(&self, pid: u32, thread: u32, state: char) -> &Self {
        let line = stat_line(thread, "go", state, 1, 0, 9);
        self.file(&format!("{pid}/task/{thread}/stat"), line)
    }

    /// A whole process with an executable and a cgroup.
    pub(crate) fn process(&self, pid: u32, exe: &str, cgroup: &str) -> &Self {
        self.stat(pid, "go", 'S', u64::from(pid))
            .thread(pid, pid, 'S')
            .file(&format!("{pid}/status"), format!("Name:\tgo\nTgid:\t{pid}\nNSpid:\t{pid}\n"))
            .link(&format!("{pid}/exe"), exe)
            .file(&format!("{pid}/cgroup"), format!("0::{cgroup}\n"))
    }
}

/// A line as proc_pid_stat(5) has it.
pub(crate) fn stat_line(
    pid: u32,
    comm: &str,
    state: char,
    parent: u32,
    flags: u32,
    start: u64,
) -> String {
    format!(
        "{pid} ({comm}) {state} {parent} 1 1 0 -1 {flags} 10 0 0 0 4 2 0 0 20 0 5 0 {start} \
         1000 200 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
    )
}
