//! Labels and annotations of an alert.

use std::collections::BTreeMap;

use super::{Labels, Words};
use crate::model::{bounded::bounded, process::Process};

/// Where the runbooks are.
const RUNBOOKS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/runbooks");

/// The labels of an alert about a process; `instance` is the host.
pub(super) fn labels<const N: usize>(
    name: &str,
    severity: &str,
    instance: &str,
    process: &Process,
    more: [(&'static str, &str); N],
) -> Labels {
    let origin = &process.origin;
    let known = [
        ("namespace", &origin.namespace),
        ("pod", &origin.pod),
        ("container", &origin.container),
        ("unit", &origin.unit),
    ];
    let known =
        known.into_iter().filter_map(|(label, value)| Some((label, value.as_deref()?.to_owned())));
    let own = [
        ("alertname", name.to_owned()),
        ("severity", severity.to_owned()),
        ("instance", instance.to_owned()),
        ("pid", process.id.pid.to_string()),
        ("exe", process.exe_base().to_owned()),
    ];
    let more = more.map(|(label, value)| (label, value.to_owned()));
    let all = own.into_iter().chain(known).chain(more);
    // A label without a value is none to Alertmanager.
    all.map(|(label, value)| (label, bounded(&value).to_string()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// The annotations of the alert of this name.
pub(super) fn annotations(name: &str, words: Words) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("summary", words.summary),
        ("description", words.description),
        ("runbook_url", format!("{RUNBOOKS}/{name}.md")),
    ])
}

/// A process, for a sentence.
pub(super) fn named(process: &Process) -> String {
    format!("{} (pid {})", bounded(&process.exe), process.id.pid)
}
