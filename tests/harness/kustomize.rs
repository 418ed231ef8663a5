//! `deploy/kubernetes` as `kubectl kustomize` renders it.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize as _;
use serde_json::Value;

use crate::{debian, requires, workspace};

/// Folders below `deploy/kubernetes` that can be applied as they are.
pub const FOLDERS: [&str; 11] = [
    "base",
    "overlays/probes-off",
    "overlays/probes-on",
    "overlays/no-sys-admin",
    "overlays/confined",
    "overlays/tls",
    "overlays/podmonitor",
    "overlays/prometheusrule",
    "overlays/dashboards",
    "overlays/networkpolicy",
    "overlays/all",
];

/// A `kubectl`, with the kustomize that is within it.
#[derive(Clone, Debug)]
pub struct Kubectl(PathBuf);

impl Kubectl {
    /// That of Debian's package `kubernetes-client`, which is an old one.
    ///
    /// # Errors
    /// Where the package cannot be had.
    pub fn of_debian() -> Result<Self> {
        Ok(Self(debian::package("kubernetes-client")?.join("usr/bin/kubectl")))
    }

    /// The host's own, which may be a new one.
    ///
    /// # Errors
    /// That there is none.
    pub fn of_host() -> Result<Self, String> {
        requires::command("kubectl").map(|()| Self("kubectl".into()))
    }

    /// The objects of a folder below `deploy/kubernetes`.
    ///
    /// # Errors
    /// Where it cannot be rendered; what kubectl said is in the error.
    pub fn render(&self, folder: &str) -> Result<Vec<Value>> {
        let path = workspace::root().join("deploy/kubernetes").join(folder);
        let output = Command::new(&self.0)
            .arg("kustomize")
            .arg(&path)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {}", self.0.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl kustomize {folder}: {errors}");
        objects(std::str::from_utf8(&output.stdout)?).with_context(|| folder.to_owned())
    }
}

/// The documents of a YAML stream; empty ones are passed over.
///
/// # Errors
/// Where it is no YAML.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let documents = serde_norway::Deserializer::from_str(text);
    let values = documents.map(Value::deserialize).collect::<Result<Vec<_>, _>>()?;
    Ok(values.into_iter().filter(|value| !value.is_null()).collect())
}

/// The only object of this kind.
///
/// # Errors
/// Where there is none, or more.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let mut found = objects.iter().filter(|object| kind_of(object) == kind);
    let first = found.next().with_context(|| format!("no {kind}"))?;
    ensure!(found.next().is_none(), "more than one {kind}");
    Ok(first)
}

/// The kind of an object.
#[must_use]
pub fn kind_of(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}
