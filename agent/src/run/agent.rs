//! The daemon from start to end.

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    answering::Answering,
    clients::{Ask, Clients},
    detacher::Detacher,
    engine::Engine,
    handed_over::{self, HandedOver},
    handing_out::HandingOut,
    mailbox::{Request, mailbox},
    nofile,
    observe::now,
    owners::Owners,
    reload::{Again, Outcome, Reloader},
    settings::AgentSettings,
    supervisor::Supervisor,
};
use crate::{
    discover::proc_fs::ProcFs,
    probe::Probes,
    serve::{gate::Gate, listen::Listener, serve, source::Source as _},
};

/// Runs the daemon until it is told to end by `SIGTERM` or `SIGINT`. At `SIGHUP` it asks `again`
/// what it is told. To be called while the process has one thread.
///
/// # Errors
///
/// Where an address cannot be opened, or the host is not Linux as we know it.
pub fn agent(settings: &AgentSettings, again: Again) -> anyhow::Result<()> {
    let sockets = handed_over::take()?;
    nofile::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
        .context("cannot start the threads for HTTP")?;
    let outcome = runtime.block_on(daemon(settings, again, sockets));
    // The look-up of an Alertmanager's name may take longer than anybody wants to wait.
    runtime.shutdown_background();
    outcome
}

async fn daemon(
    settings: &AgentSettings,
    again: Again,
    sockets: Vec<HandedOver>,
) -> anyhow::Result<()> {
    // Before anything else, so that a signal during the start ends it in order; and the signal of
    // the leases would kill who does not handle it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut lease = signal(SignalKind::io())?;
    let gate = Gate::open(&settings.gate)?;
    let listeners = listeners(settings, sockets, &gate).await?;
    gate.judge(&listeners, settings.http_dumps)?;
    let clients = Clients::default();
    let successors = clients.prepare(settings)?;
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
    let answering = Arc::new(Answering {
        mail: mail.clone(),
        ready,
        handing_out: HandingOut::new(settings.http_dumps),
        clients,
        configuration: Outcome::new(),
        gate: Arc::clone(&gate),
    });
    let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = settings.node_name.clone().unwrap_or_else(own);
    let asked = Arc::clone(&answering);
    let ask: Ask = Arc::new(move || {
        let asked = Arc::clone(&asked);
        Box::pin(async move { asked.snapshot().await })
    });
    answering.clients.exchange(successors, &host, &ask);
    let supervisor = Arc::new(Supervisor::from_environment());
    let mut reloader = Reloader {
        again,
        in_force: settings.clone(),
        mail: mail.clone(),
        answering: Arc::clone(&answering),
        supervisor: Arc::clone(&supervisor),
        host,
        ask,
    };
    let vouched = (Arc::clone(&supervisor), mail.clone());
    tokio::spawn(async move { vouched.0.vouch(&vouched.1).await });
    let reloading = tokio::spawn(async move {
        // The engine answers when it has looked at the host once.
        let _begun = reloader.mail.pulse().await;
        while hangup.recv().await.is_some() {
            reloader.reload().await;
        }
    });
    let mut outcome = None;
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            over = &mut failed => outcome = Some(over),
        }
        tracing::info!("ending");
        supervisor.stopping();
        reloading.abort();
    };
    let source = Arc::clone(&answering);
    serve(listeners, source, gate, ended).await;
    answering.clients.dismiss();
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

/// Those that were handed over, or where there are none, those that the settings name.
async fn listeners(
    settings: &AgentSettings,
    sockets: Vec<HandedOver>,
    gate: &Gate,
) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for HandedOver { socket, what } in sockets {
        let listener = Listener::handed_over(socket, &what)?;
        tracing::info!(address = gate.url(&listener), socket = what, "listening, as handed over");
        listeners.push(listener);
    }
    if listeners.is_empty() {
        for address in &settings.listen {
            let listener = Listener::bind(address).await?;
            tracing::info!(address = gate.url(&listener), "listening");
            listeners.push(listener);
        }
    }
    Ok(listeners)
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
