//! Reads the configuration anew, and has it taken: whole, or not at all.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;

use super::{
    answering::Answering,
    clients::Ask,
    mailbox::{Mail, Request},
    observe::now,
    settings::AgentSettings,
    supervisor::Supervisor,
};
use crate::model::configuration::Configuration;

/// A configuration that was read anew, and makes sense.
pub struct Fresh {
    /// What the daemon is told.
    pub settings: AgentSettings,
    /// Keys that have changed and that only a new start can take, beside those of the settings.
    pub kept: Vec<&'static str>,
    /// Is called when it is taken.
    pub taken: Box<dyn FnOnce() + Send>,
}

/// Reads the configuration anew, or says what is wrong with it.
pub type Again = Box<dyn Fn() -> anyhow::Result<Fresh> + Send + Sync>;

/// What became of it, for the metrics.
pub(super) struct Outcome {
    successful: AtomicBool,
    taken_at: Mutex<f64>,
}

impl Outcome {
    /// The first was taken.
    pub(super) fn new() -> Self {
        Self { successful: AtomicBool::new(true), taken_at: Mutex::new(now()) }
    }

    fn note(&self, taken: bool) {
        self.successful.store(taken, Ordering::Relaxed);
        if taken {
            *self.taken_at.lock().unwrap_or_else(PoisonError::into_inner) = now();
        }
    }

    pub(super) fn configuration(&self) -> Configuration {
        let taken_at = *self.taken_at.lock().unwrap_or_else(PoisonError::into_inner);
        Configuration { successful: self.successful.load(Ordering::Relaxed), taken_at }
    }
}

/// Who reads it.
pub(super) struct Reloader {
    pub(super) again: Again,
    pub(super) in_force: AgentSettings,
    pub(super) mail: Mail,
    pub(super) answering: Arc<Answering>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) host: String,
    pub(super) ask: Ask,
}

impl Reloader {
    /// Does it once.
    pub(super) async fn reload(&mut self) {
        self.supervisor.reloading();
        let outcome = self.try_to().await;
        match &outcome {
            Ok(()) => tracing::info!("the configuration has been taken"),
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the configuration is refused; the one before is in force"
            ),
        }
        self.answering.configuration.note(outcome.is_ok());
        self.supervisor.reloaded(outcome.is_ok());
    }

    async fn try_to(&mut self) -> anyhow::Result<()> {
        // The file may lie where reading takes its time.
        let Fresh { settings, kept, taken } = tokio::task::block_in_place(|| (self.again)())?;
        let (settings, mut fixed) = keep_fixed(settings, &self.in_force);
        fixed.extend(kept);
        let successors = self.answering.clients.prepare(&settings)?;
        if settings.http_dumps {
            self.answering.gate.permits_dumps()?;
        }
        let (reply, answer) = oneshot::channel();
        self.mail.send(Request::Settings(Box::new(settings.clone()), reply));
        // An engine that has ended takes the agent with it.
        answer.await?.map_err(anyhow::Error::msg)?;
        self.answering.clients.exchange(successors, &self.host, &self.ask);
        self.answering.handing_out.allow(settings.http_dumps);
        taken();
        for key in fixed {
            tracing::warn!(key, "has changed, but is taken by a restart only");
        }
        self.in_force = settings;
        Ok(())
    }
}

/// What cannot change while the agent runs stays as it is; the keys of what would have changed.
fn keep_fixed(new: AgentSettings, old: &AgentSettings) -> (AgentSettings, Vec<&'static str>) {
    let changes = [
        ("listen", new.listen != old.listen),
        ("node_name", new.node_name != old.node_name),
        ("max_processes", new.limits.processes != old.limits.processes),
        ("max_sites", new.limits.sites != old.limits.sites),
        ("cri_socket", new.names.cri != old.names.cri),
        ("host_root", new.names.host_root != old.names.host_root),
        ("web_config", new.gate.web_config != old.gate.web_config),
        ("http_host", new.gate.hosts != old.gate.hosts),
    ];
    let keys = changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect();
    let settings = AgentSettings {
        listen: old.listen.clone(),
        node_name: old.node_name.clone(),
        limits: old.limits,
        names: old.names.clone(),
        gate: old.gate.clone(),
        kernel_diagnostics: old.kernel_diagnostics,
        ..new
    };
    (settings, keys)
}
