//! The test binaries that cargo builds.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::tally::Tally;
use crate::command;

/// What a binary's tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing.
    Unit,
    /// The real kernel.
    Kernel,
}

/// A test binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binary {
    pub(super) kind: Kind,
    /// `package::target`
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The package's folder, in which its tests run.
    pub(super) folder: PathBuf,
    /// The binary wraps a library and may have no tests of its own.
    pub(super) may_be_empty: bool,
}

/// Builds the test binaries, and gives those that `which` picks, in a stable order.
pub(super) fn all(tally: &mut Tally, which: impl Fn(&Binary) -> bool) -> Vec<Binary> {
    match build() {
        Ok(mut binaries) => {
            binaries.retain(which);
            if binaries.is_empty() {
                tally.failure("build::tests", "there are no tests");
            }
            binaries
        }
        Err(error) => {
            tally.failure("build::tests", &format!("{error:#}"));
            Vec::new()
        }
    }
}

fn build() -> Result<Vec<Binary>> {
    let mut cargo = command::cargo();
    cargo
        .args(["test", "--quiet", "--workspace", "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "the tests do not build");
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    let mut binaries: Vec<Binary> = messages.lines().filter_map(binary).collect();
    binaries.sort();
    binaries.dedup();
    Ok(binaries)
}

/// Reads one of cargo's messages ("External tools", "JSON messages" in the cargo book).
fn binary(message: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")? != "compiler-artifact" || message.pointer("/profile/test")? != true {
        return None;
    }
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let target = message.pointer("/target/name")?.as_str()?.to_owned();
    let kinds = message.pointer("/target/kind")?.as_array()?;
    let is = |kind: &str| kinds.iter().any(|value| value == kind);
    let folder = Path::new(message.get("manifest_path")?.as_str()?).parent()?.to_path_buf();
    let package = folder.file_name()?.to_str()?.to_owned();
    // Of the integration tests two only read files.
    let reads = ["architecture", "dashboards"].contains(&target.as_str());
    let kernel = package == "tests" && is("test") && !reads;
    let kind = if kernel { Kind::Kernel } else { Kind::Unit };
    Some(Binary {
        kind,
        name: format!("{package}::{target}"),
        path,
        folder,
        may_be_empty: is("bin"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_test_is_told_from_a_library() {
        let message = |kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","profile":{{"test":true}},"executable":"/t/x-1",
                "target":{{"name":"x","kind":["{kind}"]}},"manifest_path":"/w/tests/Cargo.toml"}}"#
            )
        };
        assert_eq!(binary(&message("test")).unwrap().kind, Kind::Kernel);
        let library = binary(&message("lib")).unwrap();
        assert_eq!((library.kind, library.name.as_str()), (Kind::Unit, "tests::x"));
        assert_eq!(binary(r#"{"reason":"build-finished"}"#), None);
    }
}
