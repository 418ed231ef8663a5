//! How often a look-up failed, for the agent's own metrics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::model::naming::LookupFailures;

/// A place where names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Cri,
    Kubelet,
    Docker,
    Podman,
}

/// Counts, shared by those who look up and those who tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    cri: AtomicU64,
    kubelet: AtomicU64,
    docker: AtomicU64,
    podman: AtomicU64,
}

impl Tally {
    /// One more.
    pub(super) fn failed(&self, source: Source) {
        let count = match source {
            Source::Cri => &self.0.cri,
            Source::Kubelet => &self.0.kubelet,
            Source::Docker => &self.0.docker,
            Source::Podman => &self.0.podman,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failures(&self) -> LookupFailures {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LookupFailures {
            cri: of(&self.0.cri),
            kubelet: of(&self.0.kubelet),
            docker: of(&self.0.docker),
            podman: of(&self.0.podman),
        }
    }
}
