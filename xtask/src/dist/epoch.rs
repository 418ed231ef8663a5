//! The moment that everything which is made says it is of: that of the commit, so that a second
//! build says the same.

use std::{env, process::Command};

use anyhow::{Context as _, Result};
use goroscope_tests::workspace;

use crate::command;

/// What those who build reproducibly agree upon: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub(super) const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Seconds since 1970.
pub(super) fn seconds() -> Result<u32> {
    let text = match env::var(VARIABLE) {
        Ok(text) => text,
        Err(_) => command::output(Command::new("git").current_dir(workspace::root()).args([
            "log",
            "-1",
            "--pretty=%ct",
        ]))
        .with_context(|| {
            format!("the time of the commit is not known: outside a git checkout set {VARIABLE}")
        })?,
    };
    text.trim().parse().with_context(|| format!("{VARIABLE}: {text:?} is no number of seconds"))
}
