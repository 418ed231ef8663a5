//! How the other threads speak to the engine, which sleeps in `poll`.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use super::{handing_out::Dumpable, settings::AgentSettings};
use crate::{
    discover::identity::Pid,
    model::{series::Series, snapshot::Snapshot},
    names::Answer,
};

/// What the engine is asked for.
pub(super) enum Request {
    /// All that is known now.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// The last minutes of a process.
    Series(Pid, oneshot::Sender<Option<Arc<Series>>>),
    /// What a dump of a process takes.
    Dumpable(Pid, oneshot::Sender<Option<Dumpable>>),
    /// What a container is called.
    Named(Answer),
    /// Whether it lives, and what it watches.
    Pulse(oneshot::Sender<Pulse>),
    /// To take other settings, or to say why not.
    Settings(Box<AgentSettings>, oneshot::Sender<Result<(), String>>),
    /// Somebody wants to write a file on which there is a lease.
    Leases,
    /// To end.
    Stop,
}

/// How much is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pulse {
    pub(super) processes: u64,
    pub(super) goroutines: u64,
}

/// The senders' end.
#[derive(Clone)]
pub(super) struct Mail {
    sender: mpsc::Sender<Request>,
    bell: Arc<OwnedFd>,
}

/// The engine's end.
pub(super) struct Mailbox {
    receiver: mpsc::Receiver<Request>,
    bell: Arc<OwnedFd>,
}

/// Both ends.
pub(super) fn mailbox() -> std::io::Result<(Mail, Mailbox)> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = mpsc::channel();
    Ok((Mail { sender, bell: Arc::clone(&bell) }, Mailbox { receiver, bell }))
}

impl Mail {
    /// Sends a request; without effect when the engine has ended.
    pub(super) fn send(&self, request: Request) {
        if self.sender.send(request).is_ok() {
            // Fails only when the bell has been rung 2^64 times unheard.
            let _rung = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// What the engine watches, when it comes to answer; `None` where it has ended.
    pub(super) async fn pulse(&self) -> Option<Pulse> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Pulse(reply));
        answer.await.ok()
    }
}

impl Mailbox {
    /// The requests that have come.
    pub(super) fn take(&self) -> Vec<Request> {
        let mut count = [0; 8];
        // Empty when nobody rang.
        let _rung = rustix::io::read(&*self.bell, &mut count);
        self.receiver.try_iter().collect()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
