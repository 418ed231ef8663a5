//! The chart becomes what kustomize makes of `deploy/kubernetes`, and its schema refuses what it does
//! not know.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    chart,
    kustomize::{Kubectl, kind_of, only},
    pod, requires, shipped, skip_unless,
    toolchain::NEWEST,
};
use serde_json::{Value, json};

use crate::{manifests, objects};

fn needs() -> Result<(), String> {
    manifests::kubectl().and_then(|_| requires::go(NEWEST))
}

/// What Helm adds, and kustomize does not; and the hash in the name of a ConfigMap.
fn plain(value: &Value) -> Value {
    const OF_HELM: [&str; 5] = [
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
        "checksum/config",
    ];
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !OF_HELM.contains(&key.as_str()));
            let fields = fields.map(|(key, value)| (key.clone(), plain(value)));
            // What is empty, and what is a default, is as good as not there.
            let fields = fields.filter(|(key, value)| {
                *value != json!({}) && !(key == "scheme" && *value == json!("HTTP"))
            });
            Value::Object(fields.collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(plain).collect()),
        other => other.clone(),
    }
}

/// Objects by kind and name, with configurations as what they say.
fn comparable(objects: &[Value]) -> Result<BTreeMap<String, Value>> {
    let hashed = pod::spec(objects)?.get("volumes").and_then(Value::as_array);
    let hashed = hashed.into_iter().flatten().find_map(|v| v.pointer("/configMap/name")?.as_str());
    let hashed = hashed.context("no ConfigMap")?.to_owned();
    let mut all = BTreeMap::new();
    for object in objects {
        let text = plain(object).to_string();
        let text = text.replace(&format!("\"{hashed}\""), &format!("\"{}\"", chart::RELEASE));
        let mut object: Value = serde_json::from_str(&text)?;
        // The chart's has labels, that which kustomize generates has none.
        if let Some(text) = object.pointer("/data/goroscope.yaml").and_then(Value::as_str) {
            let said: Value = serde_norway::from_str(text)?;
            object = json!({ "kind": "ConfigMap", "said": said });
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        all.insert(format!("{} {name}", kind_of(&object)), object);
    }
    // Whoever installs a chart brings the namespace.
    all.retain(|name, _| !name.starts_with("Namespace"));
    Ok(all)
}

const ALL_ON: &str = r#"{
    "podMonitor": { "enabled": true }, "prometheusRule": { "enabled": true },
    "dashboards": { "enabled": true }, "networkPolicy": { "enabled": true }
}"#;

/// Which overlay these values give.
fn cases() -> Result<[(&'static str, Value); 4]> {
    Ok([
        ("overlays/probes-on", json!({})),
        ("base", json!({ "config": { "probes": "off" } })),
        ("overlays/all", serde_json::from_str(ALL_ON)?),
        (
            "overlays/confined",
            json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "goroscope.json" } }),
        ),
    ])
}

fn equal(folder: &str, objects: &[Value]) -> Result<()> {
    let chart = comparable(objects)?;
    let kustomize = comparable(&Kubectl::of_debian()?.render(folder)?)?;
    let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<BTreeSet<_>>();
    ensure!(names(&chart) == names(&kustomize), "{:?}, {:?}", names(&chart), names(&kustomize));
    for (name, object) in &kustomize {
        let own = chart.get(name).unwrap_or(&Value::Null);
        ensure!(own == object, "{folder}, {name}: the chart has\n{own:#}\nkustomize\n{object:#}");
    }
    Ok(())
}

#[test]
fn the_chart_is_what_kustomize_renders() -> Result<()> {
    const NAME: &str = "the_chart_is_what_kustomize_renders";
    skip_unless!(NAME, needs());
    for (folder, values) in cases()? {
        let rendered = chart::render(&values)?;
        for object in &rendered.objects {
            objects::check(object).with_context(|| format!("the chart as {folder}"))?;
        }
        equal(folder, &rendered.objects)?;
    }
    eprintln!(
        "rendered by Go's text/template with the functions that the chart calls; left out: Helm's \
         own functions, what it does with hooks and releases, and `helm lint`"
    );
    Ok(())
}

#[test]
fn helm_renders_the_same() -> Result<()> {
    const NAME: &str = "helm_renders_the_same";
    skip_unless!(NAME, requires::command("helm").and_then(|()| needs()));
    for (folder, values) in cases()? {
        equal(folder, &chart::render_by_helm(&values)?)?;
    }
    Ok(())
}

#[test]
fn rules_and_boards_arrive_whole_by_the_chart() -> Result<()> {
    const NAME: &str = "rules_and_boards_arrive_whole_by_the_chart";
    skip_unless!(NAME, requires::go(NEWEST));
    manifests::rules_and_boards(&chart::render(&serde_json::from_str(ALL_ON)?)?.objects)
}

/// Each value has an effect, where it should.
#[test]
fn values_arrive() -> Result<()> {
    const NAME: &str = "values_arrive";
    skip_unless!(NAME, requires::go(NEWEST));
    let digest = format!("sha256:{}", "0a".repeat(32));
    let values = json!({
        "image": { "repository": "registry.test/g", "digest": digest, "pullPolicy": "Always" },
        "imagePullSecrets": [{ "name": "key" }],
        "fullnameOverride": "other",
        "capabilities": ["SYS_PTRACE"],
        "scheme": "HTTPS",
        "probeHeaders": [{ "name": "Authorization", "value": "Basic eDp5" }],
        "resources": { "limits": { "memory": "512Mi" } },
        "appArmorProfile": { "type": "Localhost", "localhostProfile": "goroscope" },
        "priorityClassName": "",
        "nodeSelector": { "pool": "a" },
        "tolerations": [],
        "affinity": { "nodeAffinity": {} },
        "podLabels": { "team": "x" },
        "podAnnotations": { "note": "y" },
        "extraArgs": ["--top-sites=7"],
        "extraEnv": [{ "name": "GOROSCOPE_WEB_CONFIG", "value": "/w/web.yml" }],
        "extraVolumes": [{ "name": "web", "secret": { "secretName": "web" } }],
        "extraVolumeMounts": [{ "name": "web", "mountPath": "/w", "readOnly": true }],
        "serviceAccount": { "create": false, "name": "mine" },
        "podMonitor": { "enabled": true, "labels": { "release": "prometheus" }, "interval": "30s" },
    });
    let all = chart::render(&values)?.objects;
    for object in &all {
        objects::check(object)?;
    }
    let kinds: BTreeSet<&str> = all.iter().map(kind_of).collect();
    ensure!(
        kinds == BTreeSet::from(["ConfigMap", "DaemonSet", "PodMonitor", "Service"]),
        "{kinds:?}"
    );
    let set = only(&all, "DaemonSet")?;
    let monitor = only(&all, "PodMonitor")?;
    let pod = "/spec/template/spec";
    let container = "/spec/template/spec/containers/0";
    for (pointer, wanted) in [
        ("/metadata/name".to_owned(), json!("other")),
        (format!("{container}/image"), json!(format!("registry.test/g@{digest}"))),
        (format!("{container}/imagePullPolicy"), json!("Always")),
        (format!("{container}/securityContext/capabilities/add"), json!(["SYS_PTRACE"])),
        (format!("{container}/livenessProbe/httpGet/scheme"), json!("HTTPS")),
        (format!("{container}/livenessProbe/httpGet/httpHeaders/0/value"), json!("Basic eDp5")),
        (format!("{container}/resources/limits/memory"), json!("512Mi")),
        (format!("{container}/resources/limits/cpu"), json!("500m")),
        (format!("{container}/args/2"), json!("--top-sites=7")),
        (format!("{container}/env/3/name"), json!("GOROSCOPE_WEB_CONFIG")),
        (format!("{container}/volumeMounts/2/mountPath"), json!("/w")),
        (format!("{pod}/volumes/2/secret/secretName"), json!("web")),
        (format!("{pod}/imagePullSecrets/0/name"), json!("key")),
        (format!("{pod}/serviceAccountName"), json!("mine")),
        (format!("{pod}/nodeSelector/pool"), json!("a")),
        (format!("{pod}/affinity/nodeAffinity"), json!({})),
        (format!("{pod}/securityContext/appArmorProfile/localhostProfile"), json!("goroscope")),
        ("/spec/template/metadata/labels/team".to_owned(), json!("x")),
        ("/spec/template/metadata/annotations/note".to_owned(), json!("y")),
    ] {
        ensure!(set.pointer(&pointer) == Some(&wanted), "{pointer}: {:?}", set.pointer(&pointer));
    }
    for absent in ["tolerations", "priorityClassName"] {
        ensure!(set.pointer(&format!("{pod}/{absent}")).is_none(), "{absent}");
    }
    let endpoint = monitor.pointer("/spec/podMetricsEndpoints/0").context("no endpoint")?;
    ensure!(endpoint.get("scheme") == Some(&json!("https")), "{endpoint}");
    ensure!(endpoint.get("interval") == Some(&json!("30s")), "{endpoint}");
    ensure!(monitor.pointer("/metadata/labels/release") == Some(&json!("prometheus")));
    Ok(())
}

#[test]
fn notes_say_what_was_chosen() -> Result<()> {
    const NAME: &str = "notes_say_what_was_chosen";
    skip_unless!(NAME, requires::go(NEWEST));
    let without = chart::render(&json!({ "config": { "probes": "off" } }))?.notes;
    ensure!(
        without.contains("Without probes") && without.contains("-n goroscope rollout"),
        "{without}"
    );
    let with = chart::render(&json!({ "networkPolicy": { "enabled": true } }))?.notes;
    ensure!(!with.contains("Without probes") && !with.contains("Every pod"), "{with}");
    Ok(())
}

#[test]
fn the_schema_takes_the_values_and_refuses_slips() -> Result<()> {
    let schema: Value =
        serde_json::from_str(&shipped::read("deploy/helm/goroscope/values.schema.json")?)?;
    let validator = jsonschema::validator_for(&schema)?;
    let plain = chart::values(&json!({}))?;
    let errors: Vec<String> = validator.iter_errors(&plain).map(|e| e.to_string()).collect();
    ensure!(errors.is_empty(), "values.yaml: {errors:?}");
    let keys = |value: &Value| {
        value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect::<BTreeSet<_>>()
    };
    let mut known = keys(schema.get("properties").context("no properties")?);
    known.remove("global");
    ensure!(known == keys(&plain), "the schema and values.yaml have other keys");
    for good in [
        serde_json::from_str(ALL_ON)?,
        json!({ "config": { "alerts": {}, "probes": "always" } }),
        json!({ "config": { "listen": ["[::]:4676"] } }),
        json!({ "appArmorProfile": { "type": "Localhost", "localhostProfile": "goroscope" } }),
        json!({ "resources": { "limits": { "cpu": 1, "memory": "1Gi" } } }),
    ] {
        let values = chart::values(&good)?;
        let errors: Vec<String> = validator.iter_errors(&values).map(|e| e.to_string()).collect();
        ensure!(errors.is_empty(), "{good}: {errors:?}");
    }
    for wrong in [
        json!({ "tolerance": [] }),
        json!({ "image": { "tags": "1" } }),
        json!({ "image": { "digest": "sha256:1" } }),
        json!({ "image": { "pullPolicy": "always" } }),
        json!({ "config": { "probes": "on" } }),
        json!({ "config": { "probes": false } }),
        json!({ "config": { "listen": ["0.0.0.0:9100"] } }),
        json!({ "capabilities": ["CAP_SYS_ADMIN"] }),
        json!({ "scheme": "https" }),
        json!({ "resources": { "limit": {} } }),
        json!({ "resources": { "limits": { "memory": "256 MB" } } }),
        json!({ "seccompProfile": { "type": "Localhost" } }),
        json!({ "seccompProfile": { "type": "runtime/default" } }),
        json!({ "podMonitor": { "enable": true } }),
        json!({ "podMonitor": { "interval": 15 } }),
        json!({ "nodeSelector": { "a": true } }),
        json!({ "terminationGracePeriodSeconds": "30s" }),
    ] {
        ensure!(!validator.is_valid(&chart::values(&wrong)?), "taken: {wrong}");
    }
    Ok(())
}
