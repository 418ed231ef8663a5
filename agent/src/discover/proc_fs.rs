//! The folder of processes: which there are, which threads they have, when the host started.
//!
//! The root is injected, so that everything above it is tested with made-up trees, and so that the
//! host's `/proc` can be looked at from a container. The parsers here are our own: each read is
//! bounded, and a text that is not as expected is an error of that one process.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{
    error::DiscoverError,
    identity::{Pid, ProcessId, StartTime},
    shared_memory::{self, SharesMemory},
};

/// No file of `/proc` that is read as a whole is larger than this; a larger one is cut here.
const FILE_LIMIT: u64 = 1 << 20;
/// Most threads of one process that are looked at: the kernel's own limit of thread ids.
const THREAD_LIMIT: usize = 1 << 22;
/// `f_type` of procfs: `include/uapi/linux/magic.h`.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// A `/proc` folder.
#[derive(Clone, Debug)]
pub struct ProcFs {
    root: PathBuf,
    own: Option<Pid>,
    boot: OnceLock<u64>,
    pub(super) shares_memory: SharesMemory,
}

impl ProcFs {
    /// Takes the folder where procfs is mounted.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let own = fs::read_link(root.join("self"))
            .ok()
            .and_then(|own| own.to_str().and_then(|own| own.parse().ok()))
            .map(Pid);
        // The pids in the folder mean to kcmp(2) what they mean here only in the same namespace.
        let same_namespace =
            own == Some(Pid(std::process::id())) && is_procfs(&root).unwrap_or(false);
        let shares_memory =
            if same_namespace { shared_memory::by_kcmp } else { shared_memory::unknown };
        Self { root, own, boot: OnceLock::new(), shares_memory }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The agent's own process id in this folder.
    #[must_use]
    pub fn own_pid(&self) -> Option<Pid> {
        self.own
    }

    /// The processes, in ascending order: thread-group leaders only, kernel threads among them.
    ///
    /// # Errors
    /// [`DiscoverError::Host`] where the folder cannot be read.
    pub fn pids(&self) -> Result<Vec<Pid>, DiscoverError> {
        let host = |source| DiscoverError::Host { path: self.root.clone(), source };
        let mut pids = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(host)? {
            let entry = entry.map_err(host)?;
            pids.extend(number(&entry.file_name()).map(Pid));
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// The ids of the threads of a process, in ascending order; some may be dead.
    ///
    /// # Errors
    /// Of the process.
    pub fn thread_ids(&self, pid: Pid) -> Result<Vec<Pid>, DiscoverError> {
        let path = self.dir(pid).join("task");
        let fault = |source| DiscoverError::from_io(pid, path.clone(), source);
        let mut threads = Vec::new();
        for entry in fs::read_dir(&path).map_err(fault)?.take(THREAD_LIMIT) {
            let entry = entry.map_err(fault)?;
            threads.extend(number(&entry.file_name()).map(Pid));
        }
        threads.sort_unstable();
        Ok(threads)
    }

    /// A thread that is alive, to ask about the process when its main thread has exited; `None`
    /// where all have.
    ///
    /// # Errors
    /// Of the process.
    pub fn live_thread(&self, pid: Pid) -> Result<Option<Pid>, DiscoverError> {
        if !self.stat(pid)?.is_dead() {
            return Ok(Some(pid));
        }
        let alive = |thread: &Pid| self.thread_stat(pid, *thread).is_ok_and(|stat| !stat.is_dead());
        Ok(self.thread_ids(pid)?.into_iter().find(alive))
    }

    /// The folder of a thread that is alive, from which what all threads share can be read.
    pub(super) fn live_dir(&self, pid: Pid) -> Result<PathBuf, DiscoverError> {
        match self.live_thread(pid)? {
            Some(thread) if thread == pid => Ok(self.dir(pid)),
            Some(thread) => Ok(self.thread_dir(pid, thread)),
            None => Err(DiscoverError::Gone { pid, path: self.dir(pid) }),
        }
    }

    /// Its identity.
    ///
    /// # Errors
    /// Of the process.
    pub fn identity(&self, pid: Pid) -> Result<ProcessId, DiscoverError> {
        Ok(ProcessId { pid, start: self.stat(pid)?.start })
    }

    /// When the host started, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`DiscoverError::Host`] where `/proc/stat` cannot be read or does not say.
    pub fn boot_time(&self) -> Result<u64, DiscoverError> {
        if let Some(boot) = self.boot.get() {
            return Ok(*boot);
        }
        let path = self.root.join("stat");
        let text = read_bounded(&path)
            .map_err(|source| DiscoverError::Host { path: path.clone(), source })?;
        let boot = text
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"btime "))
            .and_then(parse)
            .ok_or_else(|| {
                let source = io::Error::new(io::ErrorKind::InvalidData, "it has no boot time");
                DiscoverError::Host { path, source }
            })?;
        Ok(*self.boot.get_or_init(|| boot))
    }

    /// When a process started, in seconds since the Unix epoch: to a second, for the kernel gives
    /// the time of boot no finer.
    ///
    /// # Errors
    /// As [`Self::boot_time`].
    pub fn started_at(&self, start: StartTime) -> Result<f64, DiscoverError> {
        let ticks = procfs::ticks_per_second().max(1);
        let seconds = self.boot_time()?.saturating_add(start.0 / ticks);
        let hundredths = (start.0 % ticks).saturating_mul(100) / ticks;
        Ok(float(seconds) + float(hundredths) / 100.0)
    }

    pub(super) fn dir(&self, pid: Pid) -> PathBuf {
        self.root.join(pid.to_string())
    }

    pub(super) fn thread_dir(&self, pid: Pid, thread: Pid) -> PathBuf {
        self.dir(pid).join("task").join(thread.to_string())
    }

    /// Reads a file that belongs to a process.
    pub(super) fn read(&self, pid: Pid, path: &Path) -> Result<Vec<u8>, DiscoverError> {
        read_bounded(path).map_err(|source| DiscoverError::from_io(pid, path.to_path_buf(), source))
    }
}

/// Reads a file up to [`FILE_LIMIT`].
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// A decimal number, with blanks around it.
pub(super) fn parse<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// The name of a folder that belongs to a process or thread: digits only (no sign, no blanks).
fn number(name: &std::ffi::OsStr) -> Option<u32> {
    let name = name.to_str()?;
    if !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    name.parse().ok().filter(|number| *number != 0)
}

#[expect(clippy::cast_precision_loss, reason = "seconds and ticks stay far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

fn is_procfs(root: &Path) -> Option<bool> {
    let found = rustix::fs::statfs(root).ok()?.f_type;
    Some(u64::try_from(found).ok()? == PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::made_up::MadeUp;

    #[test]
    fn lists_processes_only() {
        let tree = MadeUp::new();
        for name in ["1", "22", "333", "self-not", "12x", "+5", "0", "99999999999999", "-3"] {
            tree.dir(name);
        }
        assert_eq!(tree.procfs().pids().unwrap(), [Pid(1), Pid(22), Pid(333)]);
    }

    #[test]
    fn a_missing_root_is_an_error_of_the_host() {
        let error = ProcFs::new("/nonexistent/proc").pids().unwrap_err();
        assert!(matches!(error, DiscoverError::Host { .. }), "{error}");
    }

    #[test]
    fn start_in_seconds() {
        let tree = MadeUp::new();
        tree.file("stat", "cpu  1 2 3\nintr 5\nbtime 1700000000\nprocesses 5\n");
        let procfs = tree.procfs();
        let at = procfs.started_at(StartTime(250)).unwrap();
        assert!((at - 1_700_000_002.5).abs() < 1e-6, "{at}");
        // The boot time is read once: a clock that is set later moves no process.
        tree.file("stat", "btime 1\n");
        assert_eq!(procfs.boot_time().unwrap(), 1_700_000_000);
    }

    #[test]
    fn no_boot_time() {
        let tree = MadeUp::new();
        tree.file("stat", "btime soon\n");
        assert!(tree.procfs().boot_time().is_err());
        // A start time that no kernel writes does not overflow.
        tree.file("stat", "btime 18446744073709551615\n");
        assert!(tree.procfs().started_at(StartTime(u64::MAX)).is_ok());
    }

    #[test]
    fn main_thread_has_exited() {
        let tree = MadeUp::new();
        tree.stat(7, "go", 'Z', 9);
        tree.thread(7, 7, 'Z').thread(7, 8, 'X').thread(7, 9, 'S').thread(7, 10, 'R');
        let procfs = tree.procfs();
        assert_eq!(procfs.thread_ids(Pid(7)).unwrap(), [Pid(7), Pid(8), Pid(9), Pid(10)]);
        assert_eq!(procfs.live_thread(Pid(7)).unwrap(), Some(Pid(9)));
        assert!(procfs.live_dir(Pid(7)).unwrap().ends_with("7/task/9"));
    }

    #[test]
    fn a_zombie_has_no_live_thread() {
        let tree = MadeUp::new();
        tree.stat(7, "go", 'Z', 9).thread(7, 7, 'Z');
        assert_eq!(tree.procfs().live_thread(Pid(7)).unwrap(), None);
        assert!(tree.procfs().live_dir(Pid(7)).unwrap_err().is_gone());
    }

    #[test]
    fn knows_itself() {
        let procfs = ProcFs::new("/proc");
        let own = Pid(std::process::id());
        assert_eq!(procfs.own_pid(), Some(own));
        assert!(procfs.thread_ids(own).unwrap().contains(&own));
        assert_eq!(procfs.live_thread(own).unwrap(), Some(own));
        let started = procfs.started_at(procfs.identity(own).unwrap().start).unwrap();
        assert!(started > 1_600_000_000.0, "{started}");
    }
}
