//! Objects of Kubernetes, decoded strictly: a field that the API does not have is an error, and so is
//! one that is lost on the way.

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::operator;

/// An object of a kind that `deploy` has.
pub(crate) fn check(object: &Value) -> Result<()> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let decoded = match (text("/apiVersion"), text("/kind")) {
        ("apps/v1", "DaemonSet") => strictly::<DaemonSet>(object),
        ("v1", "ConfigMap") => strictly::<ConfigMap>(object),
        ("v1", "Namespace") => strictly::<Namespace>(object),
        ("v1", "Service") => strictly::<Service>(object),
        ("v1", "ServiceAccount") => strictly::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => strictly::<NetworkPolicy>(object),
        ("monitoring.coreos.com/v1", "PodMonitor") => strictly::<operator::PodMonitor>(object),
        ("monitoring.coreos.com/v1", "PrometheusRule") => {
            strictly::<operator::PrometheusRule>(object)
        }
        (version, kind) => bail!("{version} {kind} is not known here"),
    };
    decoded.with_context(|| format!("{} {}", text("/kind"), text("/metadata/name")))
}

fn strictly<T: DeserializeOwned + Serialize>(object: &Value) -> Result<()> {
    let mut unknown = Vec::new();
    let decoded: T = serde_ignored::deserialize(object, |path| unknown.push(path.to_string()))?;
    ensure!(unknown.is_empty(), "unknown: {}", unknown.join(", "));
    let back = serde_json::to_value(&decoded)?;
    let lost = lost(object, &back, "");
    ensure!(lost.is_empty(), "lost on the way: {}", lost.join(", "));
    Ok(())
}

/// What the second does not have of the first.
fn lost(whole: &Value, part: &Value, path: &str) -> Vec<String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => whole
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}/{key}");
                lost(value, part.get(key).unwrap_or(&Value::Null), &path)
            })
            .collect(),
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => whole
            .iter()
            .zip(part)
            .enumerate()
            .flat_map(|(index, (whole, part))| lost(whole, part, &format!("{path}/{index}")))
            .collect(),
        (whole, part) if whole == part => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

#[test]
fn what_the_api_does_not_have_is_refused() -> Result<()> {
    let service = |spec: &str| -> Result<()> {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"x"}},"spec":{spec}}}"#
        );
        check(&serde_json::from_str(&text)?)
    };
    service(r#"{"clusterIP":"None","ports":[{"port":1,"targetPort":"http"}]}"#)?;
    for (wrong, words) in [
        (r#"{"clusterIp":"None"}"#, "clusterIp"),
        (r#"{"ports":[{"port":1,"targetport":"http"}]}"#, "targetport"),
        (r#"{"ports":[{"port":"1"}]}"#, "invalid type"),
    ] {
        let error = service(wrong).err().with_context(|| format!("taken: {wrong}"))?;
        ensure!(format!("{error:#}").contains(words), "{wrong}: {error:#}");
    }
    Ok(())
}
