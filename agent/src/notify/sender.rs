//! Sends to one Alertmanager what its queue holds, until it is cancelled.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::Notify,
    time::{sleep, sleep_until},
};

use super::{
    body::body,
    queue::{Batch, Queue},
    refusal, request,
    settings::Alertmanager,
    tally::SenderTally,
};
use crate::{
    judge::alert::alerts::Outcome,
    push::{backoff::Backoff, client::Client, failure::Failure, talk::Talk},
};

/// An alert that is not sent again so many times in a row is over of itself, so that none outlives
/// the agent for long.
const MISSED_RESENDS: u32 = 4;

/// What a sender and the one who fills its queue share.
#[derive(Debug)]
pub(super) struct Post {
    queue: Mutex<Queue>,
    filled: Notify,
    tally: Arc<SenderTally>,
}

impl Post {
    pub(super) fn new(resend: Duration, tally: Arc<SenderTally>) -> Self {
        Self { queue: Mutex::new(Queue::new(resend)), filled: Notify::new(), tally }
    }

    /// Takes what a tick came to.
    pub(super) fn take(&self, outcome: &Outcome) {
        self.with(|queue| queue.take(outcome, Instant::now()));
        self.filled.notify_one();
    }

    fn with<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut queue);
        self.tally.dropped.set(queue.dropped());
        result
    }

    /// Waits for something to send.
    async fn due(&self) -> Batch {
        loop {
            match self.with(|queue| queue.due(Instant::now())) {
                Ok(batch) => return batch,
                Err(None) => self.filled.notified().await,
                Err(Some(later)) => tokio::select! {
                    () = self.filled.notified() => {}
                    () = sleep_until(later.into()) => {}
                },
            }
        }
    }
}

/// Sends to one Alertmanager.
pub(super) struct Sender {
    pub(super) alertmanager: Arc<Alertmanager>,
    pub(super) post: Arc<Post>,
    pub(super) resend: Duration,
    /// None where the certificates are to be read anew.
    pub(super) client: Option<Client>,
}

impl Sender {
    /// Sends until it is cancelled.
    pub(super) async fn run(mut self) {
        let (mut backoff, mut talk) = (Backoff::default(), Talk::default());
        loop {
            let batch = self.post.due().await;
            let count = u64::try_from(batch.alerts.len()).unwrap_or(u64::MAX);
            let tally = Arc::clone(&self.post.tally);
            match self.send(&batch).await {
                Ok(()) => {
                    tally.delivered.add(count);
                    self.post.with(|queue| queue.sent(&batch, Instant::now()));
                    backoff.reset();
                    if talk.works() {
                        tracing::info!(alertmanager = %self.alertmanager.address, "takes alerts again");
                    }
                }
                Err(failure) if refusal::is_final(&failure) => {
                    tally.rejected.add(count);
                    self.post.with(|queue| queue.sent(&batch, Instant::now()));
                    backoff.reset();
                    self.tell(&failure, &mut talk, "alerts are refused, and dropped");
                }
                Err(failure) => {
                    tally.failed.add(count);
                    self.tell(&failure, &mut talk, "alerts cannot be delivered, and are kept");
                    // Certificates may have been exchanged meanwhile.
                    self.client = None;
                    sleep(backoff.next(fastrand::f64())).await;
                }
            }
        }
    }

    async fn send(&mut self, batch: &Batch) -> Result<(), Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let alertmanager = Arc::clone(&self.alertmanager);
                let client =
                    tokio::task::spawn_blocking(move || request::client(&alertmanager)).await;
                client
                    .map_err(|error| Failure::local(&error))?
                    .map_err(|error| Failure::local(&error))?
            }
        };
        let lasting = self.resend.saturating_mul(MISSED_RESENDS);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        let body = body(&batch.alerts, now, lasting).map_err(|error| Failure::local(&error))?;
        request::post(&self.alertmanager, self.client.insert(client), body).await
    }

    fn tell(&self, failure: &Failure, talk: &mut Talk, what: &str) {
        let Failure { reason, .. } = failure;
        let hint = failure.hint.map(refusal::words);
        let (alertmanager, waiting) =
            (&self.alertmanager.address, self.post.with(|queue| queue.len()));
        if talk.tells(reason, Instant::now()) {
            tracing::warn!(%alertmanager, reason, hint, waiting, "{what}");
        } else {
            tracing::debug!(%alertmanager, reason, waiting, "{what}");
        }
    }
}
