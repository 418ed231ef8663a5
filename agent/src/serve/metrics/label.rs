//! Labels: what a target calls itself, made harmless.

use std::sync::Arc;

#[cfg(test)]
pub(super) use crate::model::bounded::LONGEST;
pub(super) use crate::model::bounded::bounded;
use crate::model::process::Process;

/// Labels of one series, in the order in which they are shown.
pub(super) type Labels = Vec<(&'static str, Arc<str>)>;

/// The labels that every series of a process carries.
pub(super) fn of_process(process: &Process) -> Labels {
    let mut labels =
        vec![("pid", process.id.pid.to_string().into()), ("exe", bounded(process.exe_base()))];
    let origin = &process.origin;
    let names = [
        ("namespace", &origin.namespace),
        ("pod", &origin.pod),
        ("container", &origin.container),
        ("unit", &origin.unit),
    ];
    labels.extend(known(names));
    labels
}

/// Those of `names` that are known.
pub(super) fn known<const N: usize>(
    names: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = (&'static str, Arc<str>)> {
    names.into_iter().filter_map(|(name, value)| Some((name, bounded(value.as_deref()?))))
}
