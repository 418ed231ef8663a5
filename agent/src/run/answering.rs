//! Answers HTTP requests from the engine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;

use super::{
    clients::Clients,
    handing_out::HandingOut,
    mailbox::{Mail, Request},
    reload::Outcome,
};
use crate::{
    discover::identity::Pid,
    model::{dump::Dump, series::Series, snapshot::Snapshot},
    serve::{
        gate::Gate,
        source::{BoxFuture, NoDump, Source},
    },
};

/// Answers from the engine.
pub(super) struct Answering {
    pub(super) mail: Mail,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) handing_out: HandingOut,
    pub(super) clients: Clients,
    pub(super) configuration: Outcome,
    pub(super) gate: Arc<Gate>,
}

impl Source for Answering {
    fn snapshot(&self) -> BoxFuture<'_, Arc<Snapshot>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.mail.send(Request::Snapshot(reply));
            // The engine is gone when the agent ends; then nothing is known.
            let Ok(mut snapshot) = answer.await else { return Arc::default() };
            // The engine has given its only one away, so that nothing is copied.
            let whole = Arc::make_mut(&mut snapshot);
            self.clients.complete(whole);
            whole.configuration = Some(self.configuration.configuration());
            whole.serving = Some(self.gate.serving());
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
