//! Whose the watched processes are: each gets the names of its container as soon as they are known.

use std::collections::HashMap;

use anyhow::Context as _;

use super::{
    engine::Engine,
    mailbox::{Mail, Request},
};
use crate::{
    discover::{identity::Pid, origin::Origin, proc_fs::ProcFs},
    model::naming::LookupFailures,
    names::{Answer, Finder, Names, Wanted, settings::NamesSettings},
};

/// Names that are remembered beyond those that are in use: of containers whose processes come and go.
const SPARE: usize = 1024;

/// Names that are known, and who looks for the others.
pub(super) struct Owners {
    finder: Finder,
    known: HashMap<Wanted, Names>,
}

impl Owners {
    /// What is found comes by mail.
    pub(super) fn start(settings: &NamesSettings, mail: Mail) -> anyhow::Result<Self> {
        let tell = move |answer| mail.send(Request::Named(answer));
        let finder = Finder::start(settings, ProcFs::new("/proc"), tell)
            .context("cannot start a thread that looks for names of containers")?;
        Ok(Self { finder, known: HashMap::new() })
    }

    /// Gives a process the names of its container, or has them looked up.
    pub(super) fn name(&mut self, origin: &mut Origin, pid: Pid) {
        let Some(wanted) = Wanted::of(origin) else { return };
        match self.known.get(&wanted) {
            Some(names) => names.give(origin),
            None => self.finder.ask(wanted, pid),
        }
    }

    /// Look-ups that failed.
    pub(super) fn failures(&self) -> LookupFailures {
        self.finder.failures()
    }

    /// Forgets who is not in use.
    fn review(&mut self, used: HashMap<Wanted, Pid>) {
        let mut spare = SPARE;
        self.known.retain(|wanted, _| {
            used.contains_key(wanted) || {
                let kept = spare > 0;
                spare = spare.saturating_sub(1);
                kept
            }
        });
        let known = &self.known;
        let unnamed = used.into_iter().filter(|(wanted, _)| !known.contains_key(wanted));
        self.finder.keep(unnamed.collect());
    }
}

impl Engine {
    /// Names have been found.
    pub(super) fn told_names(&mut self, answer: Answer) {
        let Answer { wanted, names, settled: _ } = answer;
        if names == Names::default() {
            return;
        }
        for watched in self.watched.values_mut() {
            if Wanted::of(&watched.origin).as_ref() == Some(&wanted) {
                names.give(&mut watched.origin);
            }
        }
        if names.are_whole(&wanted) {
            self.owners.known.insert(wanted, names);
        }
    }

    /// Of all that are to be named only those that are watched still matter.
    pub(super) fn review_owners(&mut self) {
        let used = self
            .watched
            .iter()
            .filter_map(|(&pid, watched)| Some((Wanted::of(&watched.origin)?, pid)));
        let used = used.collect();
        self.owners.review(used);
    }
}
