//! Why a process's runtime cannot be read, or a part of it.

use super::{layout::LayoutError, memory::MemoryError, release::UnknownRelease};
use crate::inspect::InspectError;

/// Why the runtime of a process, or one of its records, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its memory cannot be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Its release of Go is not known.
    #[error(transparent)]
    Release(#[from] UnknownRelease),
    /// The architecture is not known.
    #[error("the runtime on {0} is not known to this version of goroscope")]
    Arch(String),
    /// Its executable file cannot be read, or contradicts itself.
    #[error("looking for the runtime in the executable failed: {0}")]
    Binary(InspectError),
    /// The layout of its records is not known.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A variable of the runtime was not found in the binary.
    #[error("{0} was not found in the binary")]
    NotFound(&'static str),
    /// The runtime has not begun to work; it is worth looking again in a moment.
    #[error("the Go runtime has not started yet")]
    NotStarted,
    /// What was read contradicts itself: the layout or an address is not what it is taken for.
    #[error("{what} in the process's memory does not look as expected: {why}")]
    Implausible {
        /// The record or variable.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The target was changing the values in each of the attempts to read them.
    #[error("{0} changed while it was read")]
    Torn(&'static str),
}

impl ReadError {
    /// Whether looking again at the same process may end otherwise.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotStarted | Self::Torn(_))
    }

    /// As [`Self::is_transient`], and where values contradict one another: those that are read while
    /// they change may.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.is_transient() || matches!(self, Self::Implausible { .. })
    }

    pub(super) fn implausible(what: &'static str, why: &'static str) -> Self {
        Self::Implausible { what, why }
    }
}
