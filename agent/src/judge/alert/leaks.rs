//! Sites that leak.

use std::{collections::BTreeMap, sync::Arc};

use super::{Says, Words, labels::named};
use crate::model::{
    bounded::bounded,
    leak::{Leak, Verdict},
    process::Process,
};

/// Sites of a process that have alerts of their own, those with most goroutines first.
const MAX_SITES: usize = 32;

/// A site is judged to leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaks {
    /// At least this sure.
    pub verdict: Verdict,
}

/// A site by its labels `created_by`, `location` and `start`, and the verdict.
pub(super) type Key = ([Arc<str>; 3], Verdict);

/// The name of the alert for this verdict.
pub(super) fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "GoroscopeLeakConfirmed",
        Verdict::Suspected => "GoroscopeLeakSuspected",
    }
}

impl Leaks {
    /// The sites that are judged to leak. Of sites whose labels are the same the largest stands for
    /// all. Where there are too many, those that `is_known` keep their place.
    pub(super) fn found<'a>(
        &self,
        process: &'a Process,
        is_known: impl Fn(&Key) -> bool,
    ) -> BTreeMap<Key, &'a Leak> {
        let judged = process.leaks.iter().filter(|leak| leak.verdict >= self.verdict).map(|leak| {
            let names = [leak.site.created_by.as_str(), &leak.site.location(), &leak.site.start];
            ((names.map(bounded), leak.verdict), leak)
        });
        let (known, new): (Vec<_>, Vec<_>) = judged.partition(|(key, _)| is_known(key));
        let mut found = BTreeMap::new();
        for (key, leak) in known.into_iter().chain(new) {
            if found.len() >= MAX_SITES {
                break;
            }
            found.entry(key).or_insert(leak);
        }
        found
    }

    /// What is to be said of a site that is not found.
    pub(super) fn missing(process: &Process) -> Says {
        if process.runtime.is_some() { Says::No } else { Says::Unknown }
    }

    pub(super) fn words(process: &Process, key: &Key, leak: &Leak) -> Words {
        let ([created_by, location, start], verdict) = key;
        let leaks = match verdict {
            Verdict::Confirmed => "leak",
            Verdict::Suspected => "may leak",
        };
        let evidence: Vec<_> =
            leak.evidence.iter().map(|evidence| evidence.words.as_str()).collect();
        let kibibytes = leak.stack_bytes.div_ceil(1024);
        Words {
            summary: format!(
                "goroutines created by {created_by} ({location}) {leaks} in {} (pid {})",
                bounded(process.exe_base()),
                process.id.pid
            ),
            description: format!(
                "In {}, {} goroutines that {created_by} started at {location} to run {start} are \
                 still there, {:.1} more each minute, with {kibibytes} KiB of stacks. Most of them \
                 wait for: {}. Evidence: {}.",
                named(process),
                leak.goroutines,
                leak.per_minute,
                bounded(&leak.wait_reason),
                evidence.join("; ")
            ),
        }
    }
}
