//! Keeps what this thread starts on one CPU.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// While it lives, this thread and the processes it starts run on one CPU.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// To the last of the CPUs that it may use.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn to_one_cpu() -> Result<Self> {
        let before = sched_getaffinity(None).context("asking for the CPUs")?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| before.is_set(*cpu));
        let mut one = CpuSet::new();
        one.set(last.context("no CPU")?);
        sched_setaffinity(None, &one).context("pinning to one CPU")?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.before);
    }
}
