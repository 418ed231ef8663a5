//! The kernel side's own count of what it lost.

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use goroscope_ebpf_probes::process::{LOSSES, Losses};

use super::ProbeError;

/// The kernel side's own count of what it lost.
pub(super) struct LossTable(Array<MapData, Losses>);

impl LossTable {
    /// Takes the map.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        ebpf.take_map(LOSSES)
            .and_then(|map| map.try_into().ok())
            .map(Self)
            .ok_or(ProbeError::Missing(LOSSES))
    }

    /// Losses since the start.
    pub(super) fn read(&self) -> Result<Losses, ProbeError> {
        self.0.get(&0, 0).map_err(ProbeError::map(LOSSES))
    }
}
