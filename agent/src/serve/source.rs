//! Where the answers come from.

use std::{pin::Pin, sync::Arc, time::Duration};

use crate::{
    discover::identity::Pid,
    model::{dump::Dump, series::Series, snapshot::Snapshot},
};

/// A future of a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why there is no dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDump {
    /// Nobody allowed it.
    #[error(
        "goroutine dumps are not given out over HTTP unless the agent is told so: start it with \
         --http-dumps, or GOROSCOPE_HTTP_DUMPS=true, or http_dumps: true in its configuration; \
         `goroscope dump PID` on the host needs no such permission"
    )]
    NotAllowed,
    /// There is no such process, or it is not watched.
    #[error("process {} is not watched; /api/v1/processes lists those that are", .0.0)]
    Unwatched(Pid),
    /// Another one is under way.
    #[error("a dump of this process is being taken already; ask again when that is done")]
    Busy,
    /// It takes too long.
    #[error(
        "the dump took longer than {0:?} and was given up; `goroscope dump PID` has no such limit"
    )]
    TooLong(Duration),
    /// It could not be taken.
    #[error("{0}")]
    Failed(String),
}

/// What is asked at each request.
pub trait Source: Send + Sync + 'static {
    /// All that is known now.
    fn snapshot(&self) -> BoxFuture<'_, Arc<Snapshot>>;

    /// The last minutes of a process; `None` where they are not kept.
    fn series(&self, pid: Pid) -> BoxFuture<'_, Option<Arc<Series>>>;

    /// Takes a dump of a process.
    fn dump(&self, pid: Pid) -> BoxFuture<'_, Result<Dump, NoDump>>;

    /// Has the agent looked at the host once, so that its answers are whole?
    fn ready(&self) -> bool;
}
