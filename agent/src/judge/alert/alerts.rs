//! All alerts of all processes, from tick to tick.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    time::Duration,
};

pub use super::raised::Outcome;
use super::{
    Created, Goroutines, Rules, Says,
    created::{Rate, Reading},
    labels::labels,
    leaks::{self, Key, Leaks},
    raised::{Raised, Said, Tick},
};
use crate::{
    discover::identity::ProcessId,
    model::{leak::Verdict, process::Process, snapshot::Snapshot},
};

/// Alerts that fire at once, at most.
pub const MAX_FIRING: usize = 2048;

/// All alerts of all processes.
#[derive(Debug)]
pub struct Alerts {
    rules: Rules,
    instance: String,
    room: usize,
    processes: HashMap<ProcessId, Standing>,
}

/// What is remembered of a process.
#[derive(Debug, Default)]
struct Standing {
    goroutines: Raised,
    created: Raised,
    reading: Option<Reading>,
    leaks: BTreeMap<Key, Raised>,
}

impl Alerts {
    /// None yet; `instance` names the host.
    #[must_use]
    pub fn new(rules: Rules, instance: String) -> Self {
        Self { rules, instance, room: MAX_FIRING, processes: HashMap::new() }
    }

    /// Takes what is known at `at`, on any clock that never goes back.
    pub fn tick(&mut self, snapshot: &Snapshot, at: Duration) -> Outcome {
        let mut tick =
            Tick { at, wall: snapshot.taken_at, room: self.room, outcome: Outcome::default() };
        let there: HashSet<ProcessId> =
            snapshot.processes.iter().map(|process| process.id).collect();
        // Those that are gone first: they make room, and one of the same name may have come.
        self.processes.retain(|id, standing| {
            let stays = there.contains(id);
            if !stays {
                standing.end(&mut tick);
            }
            stays
        });
        for process in &snapshot.processes {
            let standing = self.processes.entry(process.id).or_default();
            let mut context =
                Context { rules: &self.rules, instance: &self.instance, process, tick: &mut tick };
            context.take(standing);
        }
        self.room = tick.room;
        tick.outcome
    }
}

impl Standing {
    fn end(&mut self, tick: &mut Tick) {
        self.goroutines.end(tick);
        self.created.end(tick);
        self.leaks.values_mut().for_each(|raised| raised.end(tick));
    }
}

/// One process at one tick.
struct Context<'a> {
    rules: &'a Rules,
    instance: &'a str,
    process: &'a Process,
    tick: &'a mut Tick,
}

impl Context<'_> {
    fn take(&mut self, standing: &mut Standing) {
        if let Some(rule) = &self.rules.goroutines {
            self.goroutines(rule, &mut standing.goroutines);
        }
        if let Some(rule) = &self.rules.created {
            let rate = rule.judge(&mut standing.reading, self.process, self.tick.at);
            self.created(rule, &rate, &mut standing.created);
        }
        if let Some(rule) = &self.rules.leaks {
            self.leaks(rule, &mut standing.leaks);
        }
    }

    fn goroutines(&mut self, rule: &Goroutines, raised: &mut Raised) {
        let (instance, process) = (self.instance, self.process);
        let said = Said {
            name: Goroutines::NAME,
            says: rule.judge(process),
            from: self.tick.at,
            hold: rule.hold,
            labels: || labels(Goroutines::NAME, "warning", instance, process, []),
            words: || rule.words(process),
        };
        raised.take(said, self.tick);
    }

    fn created(&mut self, rule: &Created, rate: &Rate, raised: &mut Raised) {
        let (instance, process) = (self.instance, self.process);
        let said = Said {
            name: Created::NAME,
            says: rate.says,
            from: rate.from,
            hold: rule.hold,
            labels: || labels(Created::NAME, "info", instance, process, []),
            words: || rule.words(process, rate),
        };
        raised.take(said, self.tick);
    }

    fn leaks(&mut self, rule: &Leaks, standing: &mut BTreeMap<Key, Raised>) {
        let (instance, process) = (self.instance, self.process);
        let found = rule.found(process, |key| standing.contains_key(key));
        let mut before = mem::take(standing);
        // What is over first, so that it makes room.
        for (_, raised) in before.iter_mut().filter(|(key, _)| !found.contains_key(*key)) {
            raised.miss(Leaks::missing(process), self.tick);
        }
        for (key, leak) in found {
            let mut raised = before.remove(&key).unwrap_or_default();
            let ([created_by, location, start], verdict) = &key;
            let name = leaks::name(*verdict);
            let severity = match verdict {
                Verdict::Confirmed => "warning",
                Verdict::Suspected => "info",
            };
            let site = [
                ("created_by", &**created_by),
                ("location", location),
                ("start", start),
                ("wait_reason", &leak.wait_reason),
            ];
            let said = Said {
                name,
                says: Says::Yes,
                from: self.tick.at,
                hold: Duration::ZERO,
                labels: || labels(name, severity, instance, process, site),
                words: || Leaks::words(process, &key, leak),
            };
            raised.take(said, self.tick);
            standing.insert(key, raised);
        }
        standing.extend(before.into_iter().filter(|(_, raised)| !raised.is_idle()));
    }
}

#[cfg(test)]
mod tests;
