//! Names for what a trace shows.

use std::collections::HashMap;

use super::target::Target;
use crate::{
    inspect::address::ProcessAddress,
    model::trace::GoroutineTrack,
    read::ScanBuffer,
    show::escape::{NAME_LIMIT, escape},
};

/// Goroutines whose functions are remembered.
const MOST: usize = 1 << 20;

/// Names for what a trace shows; safe to show.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Entry of the function that each goroutine was started with.
    starts: HashMap<u64, u64>,
    functions: HashMap<u64, String>,
    reasons: HashMap<u8, String>,
}

impl Names {
    pub(super) fn new(target: &mut Target) -> Self {
        let mut names = Self::default();
        if let Ok(reasons) = target.reader.wait_reasons() {
            for number in 1..=u8::MAX {
                let name = reasons.name(number).map(|name| escape(name, NAME_LIMIT));
                names.reasons.extend(name.map(|name| (number, name)));
            }
        }
        names.look_again(target);
        names
    }

    /// Looks at all goroutines: those that are new get names, too.
    pub(super) fn look_again(&mut self, target: &mut Target) {
        let starts = &mut self.starts;
        let looked = target.reader.scan(&mut ScanBuffer::default(), &mut |goroutine| {
            if starts.len() < MOST {
                starts.insert(goroutine.goid, goroutine.start.0);
            }
        });
        if let Err(error) = looked {
            tracing::debug!(%error, "goroutines are named as far as they were born in the trace");
        }
        let entries: Vec<u64> = self.starts.values().copied().collect();
        self.learn(target, entries);
    }

    /// Names of the functions that begin at these addresses.
    pub(super) fn learn(&mut self, target: &Target, entries: impl IntoIterator<Item = u64>) {
        for entry in entries {
            self.functions.entry(entry).or_insert_with(|| {
                let at = ProcessAddress(entry).in_file(target.bias);
                let name = at.and_then(|at| target.binary.symbols.function(at));
                name.map_or_else(String::new, |name| escape(&name, NAME_LIMIT))
            });
        }
    }

    /// The function that a goroutine was started with; empty where it is not known.
    pub(super) fn function(&self, track: &GoroutineTrack) -> &str {
        let born = (track.startpc != 0).then_some(&track.startpc);
        let entry = born.or_else(|| self.starts.get(&track.goid));
        entry.and_then(|entry| self.functions.get(entry)).map_or("", String::as_str)
    }

    /// What a goroutine waits for, in the runtime's words.
    pub(super) fn reason(&self, number: u8) -> String {
        match self.reasons.get(&number) {
            Some(name) => name.clone(),
            None if number == 0 => "waiting".to_owned(),
            None => format!("waiting (reason {number})"),
        }
    }
}

#[cfg(test)]
impl Names {
    /// Names at hand.
    pub(super) fn literal(functions: &[(u64, &str)], reasons: &[(u8, &str)]) -> Self {
        let functions = functions.iter().map(|(at, name)| (*at, escape(name, NAME_LIMIT)));
        let reasons = reasons.iter().map(|(number, name)| (*number, (*name).to_owned()));
        Self { starts: HashMap::new(), functions: functions.collect(), reasons: reasons.collect() }
    }
}
