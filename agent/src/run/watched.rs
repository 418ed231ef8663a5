//! One watched process, as the engine keeps it.

use super::{binaries::Number, drift::DriftMeter, reading::Reading, spending::Spending};
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
    /// When it was taken on, likewise.
    pub(super) watched_at: f64,
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
    /// What they may cost; `None` where there never were any.
    pub(super) spending: Option<Spending>,
    /// Whether they count what the runtime counts, since they were attached last.
    pub(super) drift: DriftMeter,
    /// Its runtime.
    pub(super) reading: Reading,
    /// Where its stack began when it was taken on: see [`crate::discover::stat::Stat`].
    pub(super) stack_start: u64,
}

impl Watched {
    /// Are its probes off because they cost too much?
    pub(super) fn is_paused(&self) -> bool {
        self.spending.as_ref().is_some_and(Spending::is_paused)
    }
}
