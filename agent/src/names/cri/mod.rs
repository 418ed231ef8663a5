//! Names from container runtimes, by CRI, the interface that the kubelet uses.

pub(super) mod api;
pub(super) mod reach;
mod runtime;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::runtime::Runtime;
use super::{
    settings::NamesSettings,
    tally::Tally,
    wanted::{Names, Wanted},
};

/// Asked for in one go: a runtime that hangs keeps no more waiting.
const BATCH: usize = 64;

/// What the runtimes know of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Known(Names),
    /// All of them answered, and none knows it.
    Unknown,
    /// One that may know it did not answer.
    Failed,
}

/// To whom was asked for.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) wanted: Wanted,
    pub(super) outcome: Outcome,
}

/// Starts a task that asks the runtimes; `None` where there are none to ask.
pub(super) fn start(
    settings: &NamesSettings,
    tally: Tally,
    replies: UnboundedSender<Reply>,
) -> Option<UnboundedSender<Wanted>> {
    let explicit = settings.is_explicit();
    let runtimes: Vec<Runtime> = settings
        .sockets()
        .into_iter()
        .map(|path| Runtime::new(path, explicit, tally.clone()))
        .collect();
    if runtimes.is_empty() {
        return None;
    }
    let (asker, asked) = unbounded_channel();
    tokio::spawn(answer(runtimes, asked, replies));
    Some(asker)
}

async fn answer(
    mut runtimes: Vec<Runtime>,
    mut asked: UnboundedReceiver<Wanted>,
    replies: UnboundedSender<Reply>,
) {
    let mut batch = Vec::new();
    while asked.recv_many(&mut batch, BATCH).await > 0 {
        let mut failed = false;
        for runtime in &mut runtimes {
            let ids = batch.iter().filter_map(|wanted| wanted.container_id.clone()).collect();
            let answered = runtime.ask(ids).await;
            failed |= answered.failed;
            let known = |wanted: &Wanted| {
                let names = answered.names.get(wanted.container_id.as_ref()?)?;
                Some(names.clone())
            };
            batch.retain(|wanted| {
                let Some(names) = known(wanted) else { return true };
                let reply = Reply { wanted: wanted.clone(), outcome: Outcome::Known(names) };
                // The other end goes when the agent ends.
                let _unheard = replies.send(reply);
                false
            });
            if batch.is_empty() {
                break;
            }
        }
        for wanted in batch.drain(..) {
            let outcome = if failed { Outcome::Failed } else { Outcome::Unknown };
            let _unheard = replies.send(Reply { wanted, outcome });
        }
    }
}
