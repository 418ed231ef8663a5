//! One alert from its condition to its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Alert, Labels, Says, Words, held::Held, labels::annotations};

/// What a tick came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The alerts that are firing, with what there is to say of them now.
    pub firing: Vec<Alert>,
    /// Those that are over since the last tick.
    pub resolved: Vec<Alert>,
    /// Those that would have begun to fire and did not, because too many are firing.
    pub refused: u64,
}

/// A tick under way.
#[derive(Debug)]
pub(super) struct Tick {
    /// When it is, on a clock that never goes back.
    pub(super) at: Duration,
    /// When it is, in seconds since the Unix epoch.
    pub(super) wall: f64,
    /// How many more alerts may fire.
    pub(super) room: usize,
    /// What it has come to so far.
    pub(super) outcome: Outcome,
}

/// A condition, and the alert that was raised for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Raised {
    held: Held,
    alert: Option<Alert>,
    refused: bool,
}

/// What a rule says, and how to speak of it.
pub(super) struct Said<L, W> {
    pub(super) name: &'static str,
    pub(super) says: Says,
    pub(super) from: Duration,
    pub(super) hold: Duration,
    pub(super) labels: L,
    pub(super) words: W,
}

impl Raised {
    /// Takes what a rule says.
    pub(super) fn take<L: FnOnce() -> Labels, W: FnOnce() -> Words>(
        &mut self,
        said: Said<L, W>,
        tick: &mut Tick,
    ) {
        let Said { name, says, from, hold, labels, words } = said;
        if !self.held.take(says, from, tick.at, hold) {
            self.end(tick);
            self.refused = false;
            return;
        }
        if self.alert.is_none() {
            if tick.room == 0 {
                tick.outcome.refused += u64::from(!self.refused);
                self.refused = true;
                return;
            }
            tick.room -= 1;
            self.alert = Some(Alert {
                labels: Arc::new(labels()),
                annotations: BTreeMap::new(),
                starts_at: tick.wall,
                ends_at: None,
            });
        }
        if let Some(alert) = &mut self.alert {
            if says == Says::Yes {
                alert.annotations = annotations(name, words());
            }
            tick.outcome.firing.push(alert.clone());
        }
    }

    /// Takes that nothing, or nothing certain, is said of a condition that was said to hold before.
    pub(super) fn miss(&mut self, says: Says, tick: &mut Tick) {
        let at = tick.at;
        if !self.held.take(says, at, at, Duration::MAX) {
            self.end(tick);
            self.refused = false;
        } else if let Some(alert) = &self.alert {
            tick.outcome.firing.push(alert.clone());
        }
    }

    /// There is nothing left that the condition could hold of.
    pub(super) fn end(&mut self, tick: &mut Tick) {
        if let Some(alert) = self.alert.take() {
            tick.room += 1;
            tick.outcome.resolved.push(Alert { ends_at: Some(tick.wall), ..alert });
        }
    }

    /// Is there nothing to remember?
    pub(super) fn is_idle(&self) -> bool {
        self.alert.is_none() && self.held == Held::default()
    }
}
