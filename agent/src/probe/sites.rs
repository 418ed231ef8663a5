//! The table of creation sites.

use std::collections::HashMap as StdMap;

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use goroscope_ebpf_probes::goroutine::{SITES, SiteCounts, SiteKey};

use super::{ProbeError, Slot};

/// The table of creation sites.
pub(super) struct SiteTable {
    map: HashMap<MapData, SiteKey, SiteCounts>,
}

/// The sites of one process: by `gopc` and `startpc`, addresses in the process.
pub type Sites = Vec<(SiteKey, SiteCounts)>;

impl SiteTable {
    /// Takes the map.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let map = ebpf
            .take_map(SITES)
            .and_then(|map| map.try_into().ok())
            .ok_or(ProbeError::Missing(SITES))?;
        Ok(Self { map })
    }

    /// All sites, by slot.
    pub(super) fn all(&self) -> StdMap<Slot, Sites> {
        let mut sites: StdMap<Slot, Sites> = StdMap::new();
        // An entry that goes while the table is read ends the walk early at worst; the next look
        // sees the rest.
        for (key, counts) in self.map.iter().flatten() {
            sites.entry(Slot(key.slot)).or_default().push((key, counts));
        }
        sites
    }

    /// Removes the sites of a process that is gone.
    pub(super) fn remove(&mut self, sites: &Sites) {
        for (key, _) in sites {
            // Only the agent removes sites, so the key is there.
            let _removed = self.map.remove(key);
        }
    }
}
