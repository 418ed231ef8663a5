//! What the kernel programs log, at `-vv`.

use std::os::fd::{AsFd, BorrowedFd};

use aya::Ebpf;
use aya_log::EbpfLogger;

/// The log lines of the kernel programs.
pub(super) struct Diagnostics(EbpfLogger<&'static dyn log::Log>);

impl Diagnostics {
    /// Begins to read them.
    pub(super) fn start(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init(ebpf)
            .inspect_err(|error| tracing::warn!(%error, "no diagnostics from the kernel programs"))
            .ok()
            .map(Self)
    }

    /// Logs those that have come.
    pub(super) fn log(&mut self) {
        self.0.flush();
    }
}

impl AsFd for Diagnostics {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
