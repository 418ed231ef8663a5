//! Where the checks look.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{kernel_version::KernelVersion, trial::Trials};

/// No file that is read here is larger than this.
const FILE_LIMIT: u64 = 64 * 1024;

/// A host: its `/proc`, its `/sys`, and its kernel's answers.
#[derive(Clone, Debug)]
pub struct Host {
    proc: PathBuf,
    sys: PathBuf,
    pub(super) trials: Trials,
}

impl Host {
    /// From the folders where procfs and sysfs are mounted.
    #[must_use]
    pub fn new(proc: impl Into<PathBuf>, sys: impl Into<PathBuf>, trials: Trials) -> Self {
        Self { proc: proc.into(), sys: sys.into(), trials }
    }

    /// The host we run on.
    #[must_use]
    pub fn this() -> Self {
        Self::new("/proc", "/sys", Trials::real())
    }

    /// A file below `/proc`, without the blanks around its text.
    pub(super) fn proc(&self, path: &str) -> Option<String> {
        read(&self.proc.join(path))
    }

    /// A file below `/sys`, likewise.
    pub(super) fn sys(&self, path: &str) -> Option<String> {
        read(&self.sys.join(path))
    }

    pub(super) fn proc_link(&self, path: &str) -> Option<String> {
        Some(fs::read_link(self.proc.join(path)).ok()?.to_string_lossy().into_owned())
    }

    pub(super) fn has_sys(&self, path: &str) -> bool {
        self.sys.join(path).exists()
    }

    /// Release of the kernel, and what it means.
    pub(super) fn kernel(&self) -> Option<(String, KernelVersion)> {
        let release = self.proc("sys/kernel/osrelease")?;
        let version = KernelVersion::parse(&release)?;
        Some((release, version))
    }

    /// Value of a line `Key: value` of `/proc/self/status`.
    pub(super) fn own_status(&self, key: &str) -> Option<String> {
        let status = self.proc("self/status")?;
        let mut values = status.lines().filter_map(|line| line.split_once(':'));
        values.find(|(found, _)| *found == key).map(|(_, value)| value.trim().to_owned())
    }

    /// A soft limit of `/proc/self/limits`: the outer `None` where it is not known, the inner where
    /// there is none.
    pub(super) fn own_limit(&self, name: &str) -> Option<Option<u64>> {
        let limits = self.proc("self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        match line.split_whitespace().next()? {
            "unlimited" => Some(None),
            number => number.parse().ok().map(Some),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}
