//! What one Alertmanager has to be told, and when: an entry for each alert, so that a queue that
//! is not emptied grows no further than there are alerts.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::judge::alert::{Alert, Labels, alerts::Outcome};

/// Alerts in a queue, at most: all that fire at once, and as many that are over.
const MAX_ALERTS: usize = 4096;
/// Alerts in a request, at most.
const MAX_BATCH: usize = 64;

/// What one Alertmanager has to be told.
#[derive(Debug)]
pub(super) struct Queue {
    entries: BTreeMap<Arc<Labels>, Entry>,
    resend: Duration,
    /// Changes of alerts so far: tells an entry that was sent from one that has changed since.
    changes: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    alert: Alert,
    due: Instant,
    change: u64,
}

/// Alerts for one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) alerts: Vec<Alert>,
    changes: Vec<u64>,
}

impl Queue {
    /// An empty queue; alerts that are firing are sent again after `resend`.
    pub(super) fn new(resend: Duration) -> Self {
        Self { entries: BTreeMap::new(), resend, changes: 0, dropped: 0 }
    }

    /// Takes what a tick came to.
    pub(super) fn take(&mut self, outcome: &Outcome, now: Instant) {
        // Firing ones last: where one ended and one with the same labels began, that one counts.
        for alert in outcome.resolved.iter().chain(&outcome.firing) {
            self.put(alert, now);
        }
    }

    fn put(&mut self, alert: &Alert, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&alert.labels) {
            let same =
                entry.alert.ends_at == alert.ends_at && entry.alert.starts_at == alert.starts_at;
            entry.alert = alert.clone();
            if !same {
                self.changes += 1;
                (entry.change, entry.due) = (self.changes, now);
            }
            return;
        }
        if self.entries.len() >= MAX_ALERTS && !self.make_room() {
            self.dropped += 1;
            return;
        }
        self.changes += 1;
        let entry = Entry { alert: alert.clone(), due: now, change: self.changes };
        self.entries.insert(Arc::clone(&alert.labels), entry);
    }

    /// Drops the alert that has been over for longest.
    fn make_room(&mut self) -> bool {
        let over = self.entries.iter().filter(|(_, entry)| entry.alert.ends_at.is_some());
        let oldest =
            over.min_by_key(|(_, entry)| entry.change).map(|(labels, _)| Arc::clone(labels));
        let removed = oldest.and_then(|labels| self.entries.remove(&labels));
        self.dropped += u64::from(removed.is_some());
        removed.is_some()
    }

    /// What is due at `now`; where nothing is, when something will be.
    pub(super) fn due(&self, now: Instant) -> Result<Batch, Option<Instant>> {
        let mut due: Vec<&Entry> = self.entries.values().filter(|entry| entry.due <= now).collect();
        if due.is_empty() {
            return Err(self.entries.values().map(|entry| entry.due).min());
        }
        due.sort_by_key(|entry| (entry.due, entry.change));
        let due = due.into_iter().take(MAX_BATCH);
        let (alerts, changes) = due.map(|entry| (entry.alert.clone(), entry.change)).unzip();
        Ok(Batch { alerts, changes })
    }

    /// A batch was taken, or refused for good: what is over is forgotten, what fires is due again
    /// later. What has changed meanwhile stays due.
    pub(super) fn sent(&mut self, batch: &Batch, now: Instant) {
        for (alert, change) in batch.alerts.iter().zip(&batch.changes) {
            let Some(entry) = self.entries.get_mut(&alert.labels) else { continue };
            if entry.change != *change {
                continue;
            }
            if entry.alert.ends_at.is_some() {
                self.entries.remove(&alert.labels);
            } else {
                entry.due = now + self.resend;
            }
        }
    }

    /// Alerts in it.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Alerts for which there was no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESEND: Duration = Duration::from_secs(60);

    fn alert(name: &str, ends_at: Option<f64>) -> Alert {
        Alert {
            labels: Arc::new(Labels::from([("alertname", name.to_owned())])),
            annotations: BTreeMap::new(),
            starts_at: 1.0,
            ends_at,
        }
    }

    fn firing(names: &[&str]) -> Outcome {
        let firing = names.iter().map(|name| alert(name, None)).collect();
        Outcome { firing, ..Outcome::default() }
    }

    fn resolved(name: &str) -> Outcome {
        Outcome { resolved: vec![alert(name, Some(9.0))], ..Outcome::default() }
    }

    #[test]
    fn what_fires_is_sent_again_and_what_is_over_once() {
        let (mut queue, start) = (Queue::new(RESEND), Instant::now());
        assert_eq!(queue.due(start).unwrap_err(), None);
        queue.take(&firing(&["a", "b"]), start);
        let batch = queue.due(start).unwrap();
        assert_eq!(batch.alerts.len(), 2);
        queue.sent(&batch, start);
        // Alerts that go on firing are not due for that.
        queue.take(&firing(&["a", "b"]), start);
        assert_eq!(queue.due(start).unwrap_err(), Some(start + RESEND));
        queue.take(&resolved("a"), start);
        let batch = queue.due(start).unwrap();
        assert_eq!(batch.alerts, [alert("a", Some(9.0))]);
        queue.sent(&batch, start);
        assert_eq!(queue.len(), 1);
        let batch = queue.due(start + RESEND).unwrap();
        assert_eq!(batch.alerts, [alert("b", None)]);
    }

    #[test]
    fn what_changes_while_it_is_sent_stays_due() {
        let (mut queue, start) = (Queue::new(RESEND), Instant::now());
        queue.take(&firing(&["a"]), start);
        let batch = queue.due(start).unwrap();
        queue.take(&resolved("a"), start);
        queue.sent(&batch, start);
        assert_eq!(queue.due(start).unwrap().alerts, [alert("a", Some(9.0))]);
    }

    #[test]
    fn what_is_not_sent_is_kept() {
        let (mut queue, start) = (Queue::new(RESEND), Instant::now());
        queue.take(&firing(&["a"]), start);
        for hour in 1..100 {
            queue.take(&firing(&["a"]), start);
            let batch = queue.due(start + Duration::from_secs(3600 * hour)).unwrap();
            assert_eq!(batch.alerts, [alert("a", None)]);
        }
    }

    #[test]
    fn one_that_ends_and_begins_anew_fires() {
        let (mut queue, start) = (Queue::new(RESEND), Instant::now());
        let both = Outcome { resolved: vec![alert("a", Some(9.0))], ..firing(&["a"]) };
        queue.take(&both, start);
        assert_eq!(queue.due(start).unwrap().alerts, [alert("a", None)]);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let (mut queue, start) = (Queue::new(RESEND), Instant::now());
        for number in 0..MAX_ALERTS {
            queue.take(&resolved(&format!("over {number}")), start);
        }
        queue.take(&firing(&["a"]), start);
        assert_eq!((queue.len(), queue.dropped()), (MAX_ALERTS, 1));
        assert!(queue.entries.keys().any(|labels| labels["alertname"] == "a"));
        assert!(!queue.entries.keys().any(|labels| labels["alertname"] == "over 0"));
        assert_eq!(queue.due(start).unwrap().alerts.len(), MAX_BATCH);
        let mut full = Queue::new(RESEND);
        for number in 0..=MAX_ALERTS {
            full.take(&firing(&[&number.to_string()]), start);
        }
        assert_eq!((full.len(), full.dropped()), (MAX_ALERTS, 1));
    }
}
