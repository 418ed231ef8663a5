//! How the look-up of names does.

/// Look-ups of names of containers that failed since the agent's start, by where they were looked
/// up. That a place knows nothing of a container is no failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupFailures {
    /// The container runtime's socket.
    pub cri: u64,
    /// The kubelet's folders.
    pub kubelet: u64,
    /// Docker's files.
    pub docker: u64,
    /// Podman's files.
    pub podman: u64,
}
