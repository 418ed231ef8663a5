//! Has measurements pushed, until it is dropped.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    headers::{self, HeadersError},
    pusher::{self, Pusher},
    settings::OtlpSettings,
    tally::Tally,
};
use crate::{
    model::{exporting::Exporting, snapshot::Snapshot},
    push::TlsError,
};

/// Why nothing can be pushed.
#[derive(Debug, thiserror::Error)]
#[error("OTLP: {0}")]
pub enum OtlpError {
    /// A certificate or a key cannot be read.
    Tls(#[from] TlsError),
    /// The file with headers cannot be read.
    Headers(#[from] HeadersError),
}

/// Who pushes; it ends when this is dropped.
pub struct Exporter {
    settings: Arc<OtlpSettings>,
    tally: Arc<Tally>,
    tasks: JoinSet<()>,
}

impl Exporter {
    /// Looks at the files that the settings name, so that the agent can refuse early.
    ///
    /// # Errors
    ///
    /// Where a certificate, a key or the file with headers cannot be read.
    pub fn new(settings: OtlpSettings) -> Result<Self, OtlpError> {
        pusher::client(&settings)?;
        headers::collect(&settings.headers, settings.headers_file.as_deref())?;
        Ok(Self { settings: Arc::new(settings), tally: Arc::default(), tasks: JoinSet::new() })
    }

    /// What became of the requests, for the metrics.
    pub fn exporting(&self) -> impl Fn() -> Exporting + Send + Sync + 'static {
        let tally = Arc::clone(&self.tally);
        move || tally.exporting()
    }

    /// Has `ask` asked for a snapshot, and what comes of it pushed, at each interval from now on,
    /// within tokio. `host` is the name of the host.
    pub fn watch<F>(&mut self, host: String, ask: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Arc<Snapshot>> + Send + 'static,
    {
        let pusher = Pusher::new(Arc::clone(&self.settings), Arc::clone(&self.tally), host.into());
        self.tasks.spawn(pusher.run(ask));
    }
}
