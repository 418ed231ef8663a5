//! How much the kernel's tables hold.

use goroscope_ebpf_probes::{DEFAULT_MAX_PROCESSES, DEFAULT_MAX_SITES, DEFAULT_MAX_THREADS};

/// Sizes of the kernel's tables; memory for them is taken when the programs are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes watched at once.
    pub processes: u32,
    /// Pairs of process and creation site.
    pub sites: u32,
    /// Threads of watched processes.
    pub threads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: DEFAULT_MAX_PROCESSES,
            sites: DEFAULT_MAX_SITES,
            threads: DEFAULT_MAX_THREADS,
        }
    }
}
