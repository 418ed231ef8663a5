//! The engine for a command of its own: without HTTP, for who asks it for snapshots itself.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    agent::load,
    detacher::Detacher,
    engine::Engine,
    mailbox::{Mail, Request, mailbox},
    nofile,
    observe::now,
    owners::Owners,
    settings::AgentSettings,
};
use crate::{discover::proc_fs::ProcFs, model::snapshot::Snapshot, probe::Probes};

/// What is said where the engine's thread panicked.
const BROKEN: &str =
    "the engine broke off; its last words are in the log. This is a bug in goroscope";

/// A running engine; it is stopped, and everything detached, at the latest when this is dropped.
pub(crate) struct Watching {
    asker: Asker,
    engine: Option<JoinHandle<Result<(), String>>>,
}

/// Asks the engine; as many as are wanted.
#[derive(Clone)]
pub(crate) struct Asker {
    mail: Mail,
    limits: Arc<OnceLock<Vec<String>>>,
}

impl Watching {
    /// Starts the engine. `ending` is called, on a thread of its own, when a signal says that the
    /// command is to end.
    ///
    /// # Errors
    ///
    /// Where the host is short of threads or files.
    pub(crate) fn start(
        settings: &AgentSettings,
        ending: impl Fn() + Send + 'static,
    ) -> anyhow::Result<Self> {
        nofile::raise();
        let (mail, mailbox) = mailbox().context("cannot make a mailbox")?;
        // Before there are leases: their signal would kill who does not handle it.
        signals(mail.clone(), ending)?;
        let detacher = Detacher::start().context("cannot start a thread")?;
        let owners = Owners::start(&settings.names, mail.clone())?;
        let asker = Asker { mail, limits: Arc::default() };
        let (settings, of_engine) = (settings.clone(), asker.clone());
        let engine = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let probes = load(&settings);
                // Nobody else sets it.
                let _set = of_engine.limits.set(limits(&probes));
                let proc = ProcFs::new("/proc");
                let engine = Engine::new(settings, proc, probes, detacher, owners, now());
                // It answers when it has been through all processes once.
                engine.run(&mailbox, &AtomicBool::default())
            })
            .context("cannot start a thread")?;
        Ok(Self { asker, engine: Some(engine) })
    }

    /// Who asks.
    pub(crate) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Stops the engine, and waits until everything is detached.
    ///
    /// # Errors
    ///
    /// Why it had stopped by itself.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        self.asker.mail.send(Request::Stop);
        let Some(engine) = self.engine.take() else { return Ok(()) };
        engine.join().unwrap_or_else(|_| Err(BROKEN.to_owned()))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // Who wants to know stops it.
        let _unheard = self.end();
    }
}

impl Asker {
    /// All that is known now; waits for it. `None` where the engine has ended.
    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let (reply, answer) = oneshot::channel();
        self.mail.send(Request::Snapshot(reply));
        answer.blocking_recv().ok()
    }

    /// What the kernel does not allow, a sentence for each; empty until it is known.
    pub(crate) fn limits(&self) -> &[String] {
        self.limits.get().map_or(&[], Vec::as_slice)
    }
}

fn limits(probes: &Result<Probes, String>) -> Vec<String> {
    let probes = match probes {
        Ok(probes) => probes,
        Err(reason) => return vec![format!("no eBPF, only what the runtimes say: {reason}")],
    };
    let works = [
        ("births and deaths by creation site are not counted", probes.uprobes()),
        ("the delay of threads is not measured", probes.sched()),
    ];
    let refused = works.into_iter().filter_map(|(what, works)| Some((what, works.err()?)));
    refused.map(|(what, reason)| format!("{what}: {reason}")).collect()
}

/// A thread that hears signals until the process ends.
fn signals(mail: Mail, ending: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot listen to signals")?;
    let inside = runtime.enter();
    let mut lease = signal(SignalKind::io())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    drop(inside);
    let listen = async move {
        loop {
            tokio::select! {
                _ = lease.recv() => mail.send(Request::Leases),
                _ = terminate.recv() => ending(),
                _ = interrupt.recv() => ending(),
                _ = hangup.recv() => ending(),
                _ = quit.recv() => ending(),
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(listen))
        .map(drop)
        .context("cannot start a thread")
}
