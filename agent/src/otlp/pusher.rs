//! Pushes a snapshot now and then, until it is cancelled.
//!
//! A push that does not get through is tried again until the next is due, and then dropped: counts
//! are those since a process started, so that the next push tells all that the lost one did.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap,
    body::Bytes,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use jiff::Timestamp;
use prost::Message as _;
use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{
    answer::{Verdict, verdict},
    batches::Batches,
    headers, refusal,
    settings::OtlpSettings,
    tally::Tally,
};
use crate::{
    model::{bounded::bounded, snapshot::Snapshot},
    push::{TlsError, backoff::Backoff, client::Client, failure::Failure, talk::Talk},
};

/// Reads the certificates.
pub(super) fn client(settings: &OtlpSettings) -> Result<Client, TlsError> {
    Client::new(settings.endpoint.metrics().clone(), &settings.tls)
}

/// Pushes to one collector.
pub(super) struct Pusher {
    settings: Arc<OtlpSettings>,
    tally: Arc<Tally>,
    host: Arc<str>,
    /// None where the certificates are to be read anew.
    client: Option<Client>,
    backoff: Backoff,
    talk: Talk,
    /// The collector does not want to hear of the agent before.
    not_before: Option<Instant>,
}

/// What became of one request in the end.
enum Outcome {
    Answered,
    GivenUp,
}

impl Pusher {
    pub(super) fn new(settings: Arc<OtlpSettings>, tally: Arc<Tally>, host: Arc<str>) -> Self {
        Self {
            settings,
            tally,
            host,
            client: None,
            backoff: Backoff::default(),
            talk: Talk::default(),
            not_before: None,
        }
    }

    /// Pushes what `ask` gives, until it is cancelled.
    pub(super) async fn run<F>(mut self, ask: impl Fn() -> F + Send)
    where
        F: Future<Output = Arc<Snapshot>> + Send,
    {
        let interval = self.settings.interval;
        // Many agents that start at the same moment do not push at the same moment.
        let first = Instant::now() + interval.mul_f64(fastrand::f64());
        let mut ticks = interval_at(first, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(until) = self.not_before.take() {
                sleep_until(until).await;
            }
            let snapshot = ask().await;
            // Of an engine that is gone nothing is known.
            if *snapshot != Snapshot::default() {
                self.push(snapshot, Instant::now() + interval).await;
            }
        }
    }

    /// Pushes a snapshot, in as many requests as it takes, one after the other.
    async fn push(&mut self, snapshot: Arc<Snapshot>, deadline: Instant) {
        let mut batches = Batches::of(snapshot, Arc::clone(&self.host));
        loop {
            // It may be some megabytes.
            let encoded = spawn_blocking(move || {
                let body = batches.next().map(|request| compressed(&request.encode_to_vec()));
                (body, batches)
            });
            let Ok((Some(body), rest)) = encoded.await else { return };
            batches = rest;
            let outcome = match body {
                Ok(body) => self.deliver(Bytes::from(body), deadline).await,
                Err(error) => self.give_up(&Failure::local(&error)),
            };
            // The rest would wait for the same in vain.
            if let Outcome::GivenUp = outcome {
                return;
            }
        }
    }

    /// Sends a request until it is answered, or there is no time left.
    async fn deliver(&mut self, body: Bytes, deadline: Instant) -> Outcome {
        loop {
            let verdict = match self.send(body.clone()).await {
                Ok(verdict) => verdict,
                Err(failure) => Verdict::Later(failure, None),
            };
            let (failure, after) = match verdict {
                Verdict::Taken => {
                    self.tally.delivered.add(1);
                    self.answered();
                    if self.talk.works() {
                        tracing::info!(endpoint = %self.settings.endpoint, "takes measurements again");
                    }
                    return Outcome::Answered;
                }
                Verdict::Partly(refused, why) => {
                    self.tally.partial.add(1);
                    self.tally.refused_points.add(refused);
                    self.answered();
                    self.tell_of_part(refused, &why);
                    return Outcome::Answered;
                }
                Verdict::Refused(failure) => {
                    self.tally.rejected.add(1);
                    self.answered();
                    self.tell(&failure, "measurements are refused, and dropped");
                    return Outcome::Answered;
                }
                Verdict::Later(failure, after) => (failure, after),
            };
            // Certificates may have been exchanged meanwhile.
            self.client = None;
            let wait = self.backoff.next(fastrand::f64());
            let wait = after.map_or(wait, |after| after.max(Duration::from_millis(100)));
            let again = Instant::now() + wait;
            if again >= deadline {
                self.not_before = after.map(|_| again);
                return self.give_up(&failure);
            }
            self.tell(&failure, "measurements cannot be delivered, and are sent again");
            self.tally.retries.add(1);
            sleep(wait).await;
        }
    }

    fn answered(&mut self) {
        self.backoff.reset();
    }

    fn give_up(&mut self, failure: &Failure) -> Outcome {
        self.tally.failed.add(1);
        self.tell(failure, "measurements cannot be delivered, and are dropped; the next ones tell the same and more");
        Outcome::GivenUp
    }

    async fn send(&mut self, body: Bytes) -> Result<Verdict, Failure> {
        let settings = Arc::clone(&self.settings);
        let kept = self.client.take();
        // A file system may be slow, too.
        let prepared = spawn_blocking(move || {
            let client = match kept {
                Some(client) => client,
                None => client(&settings).map_err(|error| Failure::local(&error))?,
            };
            let headers = headers::collect(&settings.headers, settings.headers_file.as_deref());
            Ok((client, headers.map_err(|error| Failure::local(&error))?))
        });
        let (client, mut headers): (Client, HeaderMap) =
            prepared.await.map_err(|error| Failure::local(&error))??;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let answer = self.client.insert(client).post(headers, body).await?;
        Ok(verdict(&answer, Timestamp::now()))
    }

    fn tell(&mut self, failure: &Failure, what: &str) {
        let endpoint = &self.settings.endpoint;
        let (reason, hint) = (&failure.reason, refusal::words(failure, endpoint));
        if self.talk.tells(reason, Instant::now().into_std()) {
            tracing::warn!(%endpoint, reason, hint, "{what}");
        } else {
            tracing::debug!(%endpoint, reason, "{what}");
        }
    }

    fn tell_of_part(&mut self, refused: u64, why: &str) {
        let (endpoint, why) = (&self.settings.endpoint, bounded(why));
        let what = if refused > 0 { "takes a part of the measurements" } else { "has remarks" };
        if self.talk.tells(&why, Instant::now().into_std()) {
            tracing::warn!(%endpoint, reason = &*why, refused, "{what}");
        } else {
            tracing::debug!(%endpoint, reason = &*why, refused, "{what}");
        }
    }
}

/// With gzip, which every collector has to understand.
fn compressed(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
