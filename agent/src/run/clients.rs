//! Those that ask the agent for snapshots of their own accord: the sender of alerts, and the push
//! to a collector. Exchanged when their settings change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::settings::AgentSettings;
use crate::{
    model::snapshot::Snapshot,
    notify::{Notifier, settings::NotifySettings},
    otlp::{Exporter, settings::OtlpSettings},
    serve::source::BoxFuture,
};

/// Asks for a snapshot.
pub(super) type Ask = Arc<dyn Fn() -> BoxFuture<'static, Arc<Snapshot>> + Send + Sync>;

/// Both of them, where they are wanted.
#[derive(Default)]
pub(super) struct Clients(Mutex<Both>);

#[derive(Default)]
struct Both {
    notify: Client<NotifySettings, Notifier>,
    otlp: Client<OtlpSettings, Exporter>,
}

/// One that is at work, and by which settings.
struct Client<S, C> {
    settings: Option<S>,
    at_work: Option<C>,
}

impl<S, C> Default for Client<S, C> {
    fn default() -> Self {
        Self { settings: None, at_work: None }
    }
}

/// Those that are to take the place of the present ones; `None` where these stay.
pub(super) struct Successors {
    notify: Option<Client<NotifySettings, Notifier>>,
    otlp: Option<Client<OtlpSettings, Exporter>>,
}

impl Clients {
    fn both(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes those whose settings are others than before; they do nothing yet. Within tokio.
    ///
    /// # Errors
    ///
    /// Where a file that the settings name cannot be read.
    pub(super) fn prepare(&self, settings: &AgentSettings) -> anyhow::Result<Successors> {
        let both = self.both();
        let AgentSettings { notify, otlp, .. } = settings;
        let mut successors = Successors { notify: None, otlp: None };
        if both.notify.settings != *notify {
            let at_work = notify.clone().map(Notifier::new).transpose()?;
            successors.notify = Some(Client { settings: notify.clone(), at_work });
        }
        if both.otlp.settings != *otlp {
            let at_work = otlp.clone().map(Exporter::new).transpose()?;
            successors.otlp = Some(Client { settings: otlp.clone(), at_work });
        }
        Ok(successors)
    }

    /// Sends the old ones away, and has the new ones ask from now on. `host` is its name.
    pub(super) fn exchange(&self, successors: Successors, host: &str, ask: &Ask) {
        let asking = || {
            let ask = Arc::clone(ask);
            move || ask()
        };
        let mut both = self.both();
        if let Some(mut notify) = successors.notify {
            if let Some(notifier) = &mut notify.at_work {
                notifier.watch(host.to_owned(), asking());
            }
            both.notify = notify;
        }
        if let Some(mut otlp) = successors.otlp {
            if let Some(exporter) = &mut otlp.at_work {
                exporter.watch(host.to_owned(), asking());
            }
            both.otlp = otlp;
        }
    }

    /// Adds to a snapshot what became of what they sent.
    pub(super) fn complete(&self, snapshot: &mut Snapshot) {
        let both = self.both();
        snapshot.alerting = both.notify.at_work.as_ref().map(|notifier| notifier.alerting()());
        snapshot.exporting = both.otlp.at_work.as_ref().map(|exporter| exporter.exporting()());
    }

    /// Sends both away.
    pub(super) fn dismiss(&self) {
        *self.both() = Both::default();
    }
}
