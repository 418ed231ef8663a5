//! `deploy/kubernetes`: what each overlay becomes, and that the parts fit together.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    debian, derived,
    kustomize::{FOLDERS, Kubectl, kind_of, only},
    pod, shipped, skip_unless, workspace,
};
use serde_json::{Value, json};

use crate::objects;

/// What the overlays with an agent add to nothing, as the kernel's headers have it.
const CAPABILITIES: [(&str, &[&str]); 6] = [
    ("base", &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]),
    ("overlays/probes-off", &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]),
    ("overlays/probes-on", WITH_PROBES),
    ("overlays/confined", WITH_PROBES),
    ("overlays/all", WITH_PROBES),
    (
        "overlays/no-sys-admin",
        &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_LEASE", "CAP_BPF", "CAP_PERFMON"],
    ),
];
const WITH_PROBES: &[&str] =
    &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_LEASE"];

pub(crate) fn kubectl() -> Result<Kubectl, String> {
    debian::package("kubernetes-client").map_err(|error| format!("{error:#}"))?;
    Kubectl::of_debian().map_err(|error| format!("{error:#}"))
}

/// Those with an agent.
fn with_agent() -> impl Iterator<Item = &'static str> {
    CAPABILITIES.iter().map(|(folder, _)| *folder).chain(["overlays/tls"])
}

#[test]
fn every_object_is_one_of_the_api() -> Result<()> {
    const NAME: &str = "every_object_is_one_of_the_api";
    skip_unless!(NAME, kubectl());
    for folder in FOLDERS {
        let rendered = Kubectl::of_debian()?.render(folder)?;
        ensure!(!rendered.is_empty(), "{folder} is empty");
        for object in &rendered {
            objects::check(object).with_context(|| folder.to_owned())?;
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
            ensure!(
                namespace == Some("goroscope") || kind_of(object) == "Namespace",
                "{folder}: {} lies in {namespace:?}",
                kind_of(object)
            );
        }
    }
    Ok(())
}

#[test]
fn every_folder_is_rendered() -> Result<()> {
    let root = workspace::root().join("deploy/kubernetes");
    let mut found = BTreeSet::from(["base".to_owned()]);
    for entry in fs::read_dir(root.join("overlays"))? {
        found.insert(format!("overlays/{}", entry?.file_name().to_string_lossy()));
    }
    let known: BTreeSet<String> = FOLDERS.map(str::to_owned).into();
    ensure!(found == known, "{found:?}");
    Ok(())
}

/// Without the hash at its end, which newer versions compute otherwise.
fn without_hashes(objects: Vec<Value>) -> Result<BTreeSet<String>> {
    let hashed = |object: &Value| {
        let name = object.pointer("/metadata/name")?.as_str()?;
        let (stem, hash) = name.rsplit_once('-')?;
        (kind_of(object) == "ConfigMap" && hash.len() == 10)
            .then(|| (name.to_owned(), stem.to_owned()))
    };
    let names: Vec<_> = objects.iter().filter_map(hashed).collect();
    let mut texts = BTreeSet::new();
    for object in objects {
        // An old one writes down what is empty as well.
        let mut text = object.to_string().replace(r#""annotations":{},"labels":{},"#, "");
        for (name, stem) in &names {
            text = text.replace(name, stem);
        }
        texts.insert(text);
    }
    Ok(texts)
}

#[test]
fn old_and_new_kustomize_agree() -> Result<()> {
    const NAME: &str = "old_and_new_kustomize_agree";
    skip_unless!(NAME, kubectl());
    skip_unless!(NAME, Kubectl::of_host());
    let host = Kubectl::of_host().map_err(anyhow::Error::msg)?;
    for folder in FOLDERS {
        let old = without_hashes(Kubectl::of_debian()?.render(folder)?)?;
        let new = without_hashes(host.render(folder)?)?;
        ensure!(old == new, "{folder}: {:#?}", old.symmetric_difference(&new).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn the_pod_has_the_least_rights() -> Result<()> {
    const NAME: &str = "the_pod_has_the_least_rights";
    skip_unless!(NAME, kubectl());
    for folder in with_agent() {
        let objects = Kubectl::of_debian()?.render(folder)?;
        let checked = || {
            let (spec, container) = (pod::spec(&objects)?, pod::container(&objects)?);
            for absent in ["hostNetwork", "hostIPC", "shareProcessNamespace"] {
                ensure!(spec.get(absent).is_none(), "{absent}");
            }
            for (pointer, wanted) in [
                ("/hostPID", json!(true)),
                ("/automountServiceAccountToken", json!(false)),
                ("/enableServiceLinks", json!(false)),
                ("/serviceAccountName", json!("goroscope")),
                ("/priorityClassName", json!("system-node-critical")),
                ("/nodeSelector", json!({ "kubernetes.io/os": "linux" })),
                ("/tolerations", json!([{ "operator": "Exists" }])),
            ] {
                ensure!(spec.pointer(pointer) == Some(&wanted), "{pointer}");
            }
            for (field, wanted) in [
                ("privileged", json!(false)),
                ("allowPrivilegeEscalation", json!(false)),
                ("readOnlyRootFilesystem", json!(true)),
            ] {
                let own = container.pointer(&format!("/securityContext/{field}"));
                ensure!(own == Some(&wanted), "{field}: {own:?}");
            }
            let dropped = container.pointer("/securityContext/capabilities/drop");
            ensure!(dropped == Some(&json!(["ALL"])), "{dropped:?}");
            for kind in ["requests", "limits"] {
                for what in ["cpu", "memory"] {
                    let pointer = format!("/resources/{kind}/{what}");
                    ensure!(container.pointer(&pointer).is_some(), "no {pointer}");
                }
            }
            let account = only(&objects, "ServiceAccount")?;
            ensure!(account.get("automountServiceAccountToken") == Some(&json!(false)));
            let roles = objects.iter().map(kind_of).filter(|kind| kind.contains("Role"));
            ensure!(roles.count() == 0, "the API server is not asked");
            Ok(())
        };
        checked().with_context(|| folder.to_owned())?;
    }
    for (folder, wanted) in CAPABILITIES {
        let own = pod::capabilities(&Kubectl::of_debian()?.render(folder)?)?;
        ensure!(own == wanted, "{folder}: {own:?}");
    }
    Ok(())
}

/// Each capability is explained where it is added: in the lines above it.
#[test]
fn every_capability_is_explained() -> Result<()> {
    for path in [
        "deploy/kubernetes/base/daemonset.yaml",
        "deploy/kubernetes/overlays/probes-on/capabilities.yaml",
        "deploy/kubernetes/overlays/no-sys-admin/capabilities.yaml",
    ] {
        let text = shipped::read(path)?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let added = lines.iter().position(|line| *line == "add:").context("none is added")?;
        let first = lines.get(added + 1).context("none is added")?;
        ensure!(first.starts_with('#'), "{path}: {first}");
    }
    Ok(())
}

/// Those that the overlays add are those of the security model, neither more nor fewer.
#[test]
fn the_security_model_has_the_same_capabilities() -> Result<()> {
    let document = shipped::read("docs/security.md")?;
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `CAP_"));
    let named: BTreeSet<String> =
        rows.filter_map(|row| Some(format!("CAP_{}", row.split_once('`')?.0))).collect();
    let added = CAPABILITIES.iter().flat_map(|(_, names)| names.iter());
    let added: BTreeSet<String> = added.map(|name| (*name).to_owned()).collect();
    ensure!(named == added, "docs/security.md has {named:?}");
    Ok(())
}

#[test]
fn the_parts_name_each_other() -> Result<()> {
    const NAME: &str = "the_parts_name_each_other";
    skip_unless!(NAME, kubectl());
    for folder in with_agent() {
        let objects = Kubectl::of_debian()?.render(folder)?;
        let checked = || {
            let container = pod::container(&objects)?;
            let names = |value: &Value, list: &str| {
                let list = value.get(list).and_then(Value::as_array).into_iter().flatten();
                list.filter_map(|entry| Some(entry.get("name")?.as_str()?.to_owned()))
                    .collect::<BTreeSet<_>>()
            };
            let (mounts, volumes) =
                (names(container, "volumeMounts"), names(pod::spec(&objects)?, "volumes"));
            ensure!(mounts == volumes, "mounts {mounts:?}, volumes {volumes:?}");
            pod::configuration(&objects)?;
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                ensure!(pod::probe(&objects, probe)?.0 == 4676, "{probe}");
            }
            let set = only(&objects, "DaemonSet")?;
            let labels = set.pointer("/spec/template/metadata/labels").context("no labels")?;
            ensure!(set.pointer("/spec/selector/matchLabels") == Some(labels), "the selector");
            let service = only(&objects, "Service")?;
            ensure!(service.pointer("/spec/selector") == Some(labels), "the service's selector");
            ensure!(service.pointer("/spec/ports/0/targetPort") == Some(&json!("http")));
            Ok(())
        };
        checked().with_context(|| folder.to_owned())?;
    }
    let all = Kubectl::of_debian()?.render("overlays/all")?;
    let labels = only(&all, "DaemonSet")?.pointer("/spec/template/metadata/labels").cloned();
    let monitor = only(&all, "PodMonitor")?;
    ensure!(monitor.pointer("/spec/selector/matchLabels") == labels.as_ref(), "the monitor");
    ensure!(monitor.pointer("/spec/podMetricsEndpoints/0/port") == Some(&json!("http")));
    let policy = only(&all, "NetworkPolicy")?;
    ensure!(policy.pointer("/spec/podSelector/matchLabels") == labels.as_ref(), "the policy");
    Ok(())
}

#[test]
fn what_is_made_of_other_files_is_up_to_date() -> Result<()> {
    let mut chart = BTreeSet::new();
    for file in derived::all()? {
        let own = shipped::read(&file.path)?;
        ensure!(own == file.content, "{} is old: run `cargo xtask deploy`", file.path);
        if file.path.contains("/helm/") {
            chart.extend(Path::new(&file.path).file_name().map(ToOwned::to_owned));
        }
    }
    for entry in fs::read_dir(workspace::root().join("deploy/helm/goroscope/files"))? {
        let name = entry?.file_name();
        ensure!(chart.contains(&name), "{name:?} is made of nothing");
    }
    Ok(())
}

#[test]
fn rules_and_boards_arrive_whole() -> Result<()> {
    const NAME: &str = "rules_and_boards_arrive_whole";
    skip_unless!(NAME, kubectl());
    let all = Kubectl::of_debian()?.render("overlays/all")?;
    rules_and_boards(&all)
}

/// The rules are those of the file for Prometheus, and the boards those for Grafana.
pub(crate) fn rules_and_boards(objects: &[Value]) -> Result<()> {
    let rules: Value =
        serde_norway::from_str(&shipped::read("deploy/prometheus/goroscope.rules.yml")?)?;
    ensure!(only(objects, "PrometheusRule")?.get("spec") == Some(&rules), "the rules");
    let boards = objects
        .iter()
        .find(|object| object.pointer("/metadata/labels/grafana_dashboard") == Some(&json!("1")));
    let data = boards.and_then(|map| map.get("data")?.as_object()).context("no boards")?;
    ensure!(data.len() == shipped::BOARDS.len(), "{:?}", data.keys());
    for name in shipped::BOARDS {
        let text = data.get(name).and_then(Value::as_str).context(name)?;
        ensure!(text == shipped::read(&format!("deploy/grafana/{name}"))?, "{name}");
    }
    // `kubectl apply` keeps the whole object in an annotation, which has a limit.
    let size: usize = data.values().filter_map(Value::as_str).map(str::len).sum();
    ensure!(size < 250_000, "{size} bytes of boards");
    Ok(())
}
