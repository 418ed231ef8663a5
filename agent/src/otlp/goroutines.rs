//! Goroutines by state, wait reason and creation site, births and deaths, and leaks: OpenTelemetry
//! has no names for these.

use super::series::{About, Attributes, Nanos, Series, attribute, by_words};
use crate::model::{
    process::Process,
    site::SiteName,
    top::{Tally, Top, top},
};

const CREATED: About = About {
    name: "goroscope.goroutines.created",
    unit: "{goroutine}",
    description: "Goroutines created since the process started, those of the runtime included.",
};
const EXITED: About = About {
    name: "goroscope.goroutines.exited",
    unit: "{goroutine}",
    description: "Goroutines that ended since the process started, those of the runtime included.",
};
const BY_STATE: About = About {
    name: "goroscope.goroutines.by_state",
    unit: "{goroutine}",
    description: "User goroutines by scheduler state, at the last look at all goroutines.",
};
const WAITING: About = About {
    name: "goroscope.goroutines.waiting",
    unit: "{goroutine}",
    description: "Waiting user goroutines by the wait reason of the runtime, at the last look at \
                  all goroutines.",
};
const SYSTEM: About = About {
    name: "goroscope.goroutines.system",
    unit: "{goroutine}",
    description: "Goroutines of the runtime itself, at the last look at all goroutines.",
};
const SITE: About = About {
    name: "goroscope.site.goroutines",
    unit: "{goroutine}",
    description: "Live goroutines by creation site, at the last look at all goroutines; the \
                  largest sites of a process, the rest as other.",
};
const SITE_CREATED: About = About {
    name: "goroscope.site.created",
    unit: "{goroutine}",
    description: "Goroutines born by creation site while the probes were attached.",
};
const SITE_EXITED: About = About {
    name: "goroscope.site.exited",
    unit: "{goroutine}",
    description: "Goroutines that ended by creation site while the probes were attached.",
};
const LEAK: About = About {
    name: "goroscope.leak.goroutines",
    unit: "{goroutine}",
    description: "Goroutines held by a creation site that is judged to leak.",
};

/// Stands for the sites without points of their own.
const OTHER: &str = "other";

/// Of a process, with at most so many sites by name.
pub(super) fn of(process: &Process, top_sites: usize, series: &mut Series) {
    let (start, watched) = (Nanos::of(process.started_at), Nanos::of(process.watched_at));
    let runtime = process.runtime.as_ref();
    series.counter(CREATED, start, runtime.map(|runtime| runtime.counts.created));
    series.counter(EXITED, start, runtime.map(|runtime| runtime.counts.exited));
    let table = runtime.and_then(|runtime| runtime.table.as_ref());
    if let Some(table) = table {
        let state = |state| vec![attribute("goroscope.goroutine.state", state)];
        let states = table.by_state.iter().map(|(name, count)| (state(name.as_str()), *count));
        series.amounts(BY_STATE, start, states);
        let reasons = table.by_reason.iter().map(|(name, count)| ([name.to_string()], *count));
        let reason =
            |[name]: [String; 1]| vec![attribute("goroscope.goroutine.wait_reason", &name)];
        let reasons = by_words(reasons).into_iter().map(|(name, count)| (reason(name), count));
        series.amounts(WAITING, start, reasons);
        series.amount(SYSTEM, start, Some(table.system));
    }
    let sites = top(&process.sites, top_sites, |site| Some(words(site.name.as_ref()?)));
    if table.is_some() || process.probed.is_some() {
        series.amounts(SITE, start, by_site(&sites, |tally| tally.live));
    }
    // A site that falls out of the largest takes its counts along, so that the rest is no counter.
    if process.probed.is_some() {
        let sites = Top { other: sites.other.filter(|_| sites.folded == 0), ..sites };
        series.counters(SITE_CREATED, watched, by_site(&sites, |tally| tally.created));
        series.counters(SITE_EXITED, watched, by_site(&sites, |tally| tally.exited));
    }
    leaks(process, start, series);
}

fn words(name: &SiteName) -> [String; 3] {
    let words = [name.created_by.as_str(), &name.location(), &name.start];
    words.map(|word| crate::model::bounded::bounded(word).to_string())
}

fn by_site(sites: &Top<[String; 3]>, value: fn(&Tally) -> u64) -> Vec<(Attributes, u64)> {
    let other = sites.other.map(|tally| ([OTHER; 3].map(str::to_owned), tally));
    let sites = sites.named.iter().chain(&other);
    sites.map(|(words, tally)| (site(words), value(tally))).collect()
}

fn site([created_by, location, start]: &[String; 3]) -> Attributes {
    vec![
        attribute("goroscope.site.created_by", created_by),
        attribute("goroscope.site.location", location),
        attribute("goroscope.site.start", start),
    ]
}

fn leaks(process: &Process, start: Nanos, series: &mut Series) {
    let leaks = process.leaks.iter().map(|leak| {
        let [created_by, location, started] = words(&leak.site);
        let verdict = leak.verdict.as_str().to_owned();
        ([created_by, location, started, leak.wait_reason.to_string(), verdict], leak.goroutines)
    });
    let leaks = by_words(leaks).into_iter().map(|(words, goroutines)| {
        let [created_by, location, started, reason, verdict] = words;
        let mut attributes = site(&[created_by, location, started]);
        attributes.push(attribute("goroscope.goroutine.wait_reason", &reason));
        attributes.push(attribute("goroscope.leak.verdict", &verdict));
        (attributes, goroutines)
    });
    series.amounts(LEAK, start, leaks);
}
