//! Many goroutines.

use std::{fmt::Write as _, time::Duration};

use super::{Says, Words, labels::named};
use crate::model::{bounded::bounded, process::Process, site::Site};

/// What wait reasons and sites are named in the description, at most.
const NAMED: usize = 3;

/// A process has more goroutines than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goroutines {
    /// More than these.
    pub above: u64,
    /// For so long.
    pub hold: Duration,
}

impl Goroutines {
    pub(super) const NAME: &str = "GoroscopeGoroutinesHigh";

    pub(super) fn judge(&self, process: &Process) -> Says {
        match process.goroutines() {
            None => Says::Unknown,
            Some(live) if live > self.above => Says::Yes,
            Some(_) => Says::No,
        }
    }

    pub(super) fn words(&self, process: &Process) -> Words {
        let live = process.goroutines().unwrap_or(0);
        let Self { above, hold } = self;
        let mut description = format!(
            "{} has {live} goroutines, and more than {above} for {} s or longer.",
            named(process),
            hold.as_secs_f64()
        );
        let table = process.runtime.as_ref().and_then(|runtime| runtime.table.as_ref());
        let mut reasons: Vec<_> =
            table.map(|table| table.by_reason.iter().collect()).unwrap_or_default();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let reasons = reasons.iter().filter(|(_, count)| *count > 0).take(NAMED);
        let reasons: Vec<_> =
            reasons.map(|(reason, count)| format!("{} ({count})", bounded(reason))).collect();
        if !reasons.is_empty() {
            let _infallible = write!(description, " They wait for {}.", reasons.join(", "));
        }
        let sites =
            process.sites.iter().filter(|site| !site.system && site.live > 0).filter_map(place);
        let sites: Vec<_> = sites.take(NAMED).collect();
        if !sites.is_empty() {
            let _infallible = write!(description, " Most were created by {}.", sites.join(", "));
        }
        let summary = format!(
            "{} (pid {}) has {live} goroutines",
            bounded(process.exe_base()),
            process.id.pid
        );
        Words { summary, description }
    }
}

fn place(site: &Site) -> Option<String> {
    let name = site.name.as_ref()?;
    let (function, location) = (bounded(&name.created_by), name.location());
    Some(format!("{function} at {} ({})", bounded(&location), site.live))
}
