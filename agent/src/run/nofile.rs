//! Room for file descriptors: each uprobe takes two.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one; a default of 1024 would end at five hundred probes.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}
