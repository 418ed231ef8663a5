//! The daemon from start to end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    detacher::Detacher,
    engine::Engine,
    handing_out::HandingOut,
    mailbox::{Mail, Request, mailbox},
    nofile,
    observe::now,
    owners::Owners,
    settings::AgentSettings,
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    model::{
        alerting::Alerting, dump::Dump, exporting::Exporting, series::Series, snapshot::Snapshot,
    },
    notify::Notifier,
    otlp::Exporter,
    probe::Probes,
    serve::{
        listen::Listener,
        serve,
        source::{BoxFuture, NoDump, Source},
    },
};

/// Runs the daemon until it is told to end by `SIGTERM` or `SIGINT`.
///
/// # Errors
///
/// Where an address cannot be opened, or the host is not Linux as we know it.
pub fn agent(settings: &AgentSettings) -> anyhow::Result<()> {
    nofile::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
        .context("cannot start the threads for HTTP")?;
    let outcome = runtime.block_on(daemon(settings));
    // The look-up of an Alertmanager's name may take longer than anybody wants to wait.
    runtime.shutdown_background();
    outcome
}

async fn daemon(settings: &AgentSettings) -> anyhow::Result<()> {
    // Before anything else, so that a signal during the start ends it in order; and the signal of
    // the leases would kill who does not handle it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut lease = signal(SignalKind::io())?;
    let mut listeners = Vec::new();
    for address in &settings.listen {
        let listener = Listener::bind(address).await?;
        tracing::info!(address = %listener, "listening");
        listeners.push(listener);
    }
    let mut notifier = settings.notify.clone().map(Notifier::new).transpose()?;
    let mut exporter = settings.otlp.clone().map(Exporter::new).transpose()?;
    let (mail, mailbox) = mailbox().context("cannot make a mailbox")?;
    let detacher = Detacher::start().context("cannot start a thread")?;
    let owners = Owners::start(&settings.names, mail.clone())?;
    let ready = Arc::new(AtomicBool::new(false));
    let (over, mut failed) = oneshot::channel();
    let engine = {
        let (settings, ready) = (settings.clone(), Arc::clone(&ready));
        thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let probes = load(&settings);
                let proc = ProcFs::new("/proc");
                let engine = Engine::new(settings, proc, probes, detacher, owners, now());
                let _unheard = over.send(engine.run(&mailbox, &ready));
            })
            .context("cannot start a thread")?
    };
    let leases = mail.clone();
    tokio::spawn(async move {
        while lease.recv().await.is_some() {
            leases.send(Request::Leases);
        }
    });
    let source = Arc::new(Engineered {
        mail: mail.clone(),
        ready,
        handing_out: HandingOut::new(settings.http_dumps),
        alerting: notifier.as_ref().map(|notifier| Box::new(notifier.alerting()) as Box<_>),
        exporting: exporter.as_ref().map(|exporter| Box::new(exporter.exporting()) as Box<_>),
    });
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let ask = || {
        let source = Arc::clone(&source);
        move || {
            let source = Arc::clone(&source);
            async move { source.snapshot().await }
        }
    };
    if let Some(notifier) = &mut notifier {
        notifier.watch(host.clone(), ask());
    }
    if let Some(exporter) = &mut exporter {
        exporter.watch(host, ask());
    }
    let mut outcome = None;
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            over = &mut failed => outcome = Some(over),
        }
        tracing::info!("ending");
    };
    serve(listeners, source, ended).await;
    drop((notifier, exporter));
    mail.send(Request::Stop);
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => failed.await,
    };
    // Its thread is at its end: the last thing it does is to say so.
    let joined = tokio::task::spawn_blocking(move || engine.join()).await;
    match outcome {
        Ok(Ok(())) if joined.is_ok_and(|joined| joined.is_ok()) => Ok(()),
        Ok(Err(reason)) => Err(anyhow::Error::msg(reason)),
        _ => {
            bail!("the engine broke off; its last words are in the log. This is a bug in goroscope")
        }
    }
}

/// Loads the kernel programs; what does not work is said once, here.
pub(super) fn load(settings: &AgentSettings) -> Result<Probes, String> {
    let probes = Probes::load(settings.limits, settings.kernel_diagnostics)
        .inspect_err(|error| tracing::warn!(%error, "no kernel programs: `goroscope doctor` tells what is missing"))
        .map_err(|error| error.to_string())?;
    for (what, works) in [
        ("goroutines are not counted", probes.uprobes()),
        ("scheduling delay is not measured", probes.sched()),
        ("starts and ends of processes are seen by scanning only", probes.lifecycle()),
    ] {
        if let Err(reason) = works {
            tracing::warn!(reason, "{what}: `goroscope doctor` tells what is missing");
        }
    }
    Ok(probes)
}

/// Answers from the engine.
struct Engineered {
    mail: Mail,
    ready: Arc<AtomicBool>,
    handing_out: HandingOut,
    alerting: Option<Box<dyn Fn() -> Alerting + Send + Sync>>,
    exporting: Option<Box<dyn Fn() -> Exporting + Send + Sync>>,
}

impl Source for Engineered {
    fn snapshot(&self) -> BoxFuture<'_, Arc<Snapshot>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.mail.send(Request::Snapshot(reply));
            // The engine is gone when the agent ends; then nothing is known.
            let Ok(mut snapshot) = answer.await else { return Arc::default() };
            // The engine has given its only one away, so that nothing is copied.
            if let Some(alerting) = &self.alerting {
                Arc::make_mut(&mut snapshot).alerting = Some(alerting());
            }
            if let Some(exporting) = &self.exporting {
                Arc::make_mut(&mut snapshot).exporting = Some(exporting());
            }
            snapshot
        })
    }

    fn series(&self, pid: Pid) -> BoxFuture<'_, Option<Arc<Series>>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.mail.send(Request::Series(pid, reply));
            answer.await.ok().flatten()
        })
    }

    fn dump(&self, pid: Pid) -> BoxFuture<'_, Result<Dump, NoDump>> {
        let ask = async move {
            let (reply, answer) = oneshot::channel();
            self.mail.send(Request::Dumpable(pid, reply));
            answer.await.ok().flatten()
        };
        Box::pin(self.handing_out.take(pid, ask))
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}
