//! Where the answers come from.

use std::{pin::Pin, sync::Arc};

use crate::model::snapshot::Snapshot;

/// A future of a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is asked at each request.
pub trait Source: Send + Sync + 'static {
    /// All that is known now.
    fn snapshot(&self) -> BoxFuture<'_, Arc<Snapshot>>;

    /// Has the agent looked at the host once, so that its answers are whole?
    fn ready(&self) -> bool;
}
