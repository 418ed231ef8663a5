//! One watched process, as the engine keeps it.

use super::{binaries::Number, reading::Reading};
use crate::{
    discover::identity::ProcessId,
    inspect::address::LoadBias,
    model::{
        process::{BinaryFacts, Origin},
        watch::Watch,
    },
    probe::{Attachment, Slot},
};

/// One watched process, as the engine keeps it.
pub(super) struct Watched {
    /// Identity.
    pub(super) id: ProcessId,
    /// Seconds since the Unix epoch.
    pub(super) started_at: f64,
    /// Path of the executable.
    pub(super) exe: String,
    /// Name.
    pub(super) comm: String,
    /// Whose it is.
    pub(super) origin: Origin,
    /// What its binary says of itself.
    pub(super) facts: Option<BinaryFacts>,
    /// Its binary.
    pub(super) binary: Option<Number>,
    /// Where the loader put the binary; `None` where that could not be told.
    pub(super) bias: Option<LoadBias>,
    /// Its slot in the kernel's tables.
    pub(super) slot: Option<Slot>,
    /// Probes of its own; where all processes of a binary share them, they are the binary's.
    pub(super) attachment: Option<Attachment>,
    /// How the probes do.
    pub(super) probes: Watch,
    /// Its runtime.
    pub(super) reading: Reading,
    /// Where its stack began when it was taken on: see [`crate::discover::stat::Stat`].
    pub(super) stack_start: u64,
}
