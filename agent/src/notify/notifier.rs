//! Asks what is firing, and has everybody told.

use std::{sync::Arc, time::Instant};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    request,
    sender::{Post, Sender},
    settings::NotifySettings,
    tally::{SenderTally, Tally},
};
use crate::{
    judge::alert::{Alert, alerts::Alerts},
    model::{alerting::Alerting, snapshot::Snapshot},
    push::TlsError,
};

/// Everything that sends alerts; it ends when this is dropped.
pub struct Notifier {
    settings: NotifySettings,
    tally: Arc<Tally>,
    posts: Vec<Arc<Post>>,
    tasks: JoinSet<()>,
}

impl Notifier {
    /// Starts who sends, within tokio.
    ///
    /// # Errors
    ///
    /// Where a certificate or a key cannot be read.
    pub fn new(settings: NotifySettings) -> Result<Self, TlsError> {
        let mut tasks = JoinSet::new();
        let (mut posts, mut tallies) = (Vec::new(), Vec::new());
        let resend = settings.resend;
        for alertmanager in &settings.alertmanagers {
            let alertmanager = Arc::new(alertmanager.clone());
            let client = Some(request::client(&alertmanager)?);
            let tally = Arc::new(SenderTally::new(alertmanager.address.as_str()));
            let post = Arc::new(Post::new(resend, Arc::clone(&tally)));
            tallies.push(tally);
            posts.push(Arc::clone(&post));
            tasks.spawn(Sender { alertmanager, post, resend, client }.run());
        }
        let tally =
            Tally { firing: Default::default(), refused: Default::default(), senders: tallies };
        Ok(Self { settings, tally: Arc::new(tally), posts, tasks })
    }

    /// What becomes of the alerts, for the metrics.
    pub fn alerting(&self) -> impl Fn() -> Alerting + Send + Sync + 'static {
        let tally = Arc::clone(&self.tally);
        move || tally.alerting()
    }

    /// Has `ask` asked for a snapshot at each tick from now on. `instance` names the host.
    pub fn watch<F>(&mut self, instance: String, ask: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Arc<Snapshot>> + Send,
    {
        let mut alerts = Alerts::new(self.settings.rules.clone(), instance);
        let (tally, posts) = (Arc::clone(&self.tally), self.posts.clone());
        let mut ticks = interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.spawn(async move {
            let start = Instant::now();
            loop {
                ticks.tick().await;
                let snapshot = ask().await;
                // Of an engine that is gone nothing is known: that is no reason to call alerts off.
                if *snapshot == Snapshot::default() {
                    continue;
                }
                let outcome = alerts.tick(&snapshot, start.elapsed());
                tally.firing.set(u64::try_from(outcome.firing.len()).unwrap_or(u64::MAX));
                tally.refused.add(outcome.refused);
                tell(&snapshot, &outcome.firing, "an alert fires");
                tell(&snapshot, &outcome.resolved, "an alert is over");
                posts.iter().for_each(|post| post.take(&outcome));
            }
        });
    }
}

/// Says in the log what began or ended with this snapshot.
fn tell(snapshot: &Snapshot, alerts: &[Alert], what: &str) {
    for alert in alerts {
        let begins = alert.starts_at.to_bits() == snapshot.taken_at.to_bits();
        if begins || alert.ends_at.is_some() {
            let label = |name: &str| alert.labels.get(name).map(String::as_str);
            let (name, pid) = (label("alertname"), label("pid"));
            let summary = alert.annotations.get("summary").map(String::as_str);
            tracing::info!(alert = name, pid, summary, "{what}");
        }
    }
}
