//! The Helm chart, rendered: by `helm` where it is installed, and in any case by the engine that Helm
//! uses, Go's `text/template`, with the few functions that the chart calls
//! (`tests/fixtures/chart`).

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    fixture::{self, Mode},
    kustomize, shipped,
    toolchain::{Go, NEWEST},
    workspace,
};

/// Where the chart is.
pub const FOLDER: &str = "deploy/helm/goroscope";
/// Name and namespace of the release that is rendered.
pub const RELEASE: &str = "goroscope";
const NOTES: &str = "NOTES.txt";

/// `values.yaml` with these on top, as Helm merges them.
///
/// # Errors
/// Where the file cannot be read.
pub fn values(further: &Value) -> Result<Value> {
    let text = shipped::read(&format!("{FOLDER}/values.yaml"))?;
    let mut values = serde_norway::from_str(&text).context("values.yaml")?;
    merge(&mut values, further);
    Ok(values)
}

/// Objects are merged, all else is replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// What the chart becomes.
#[derive(Debug)]
pub struct Rendered {
    /// Its objects.
    pub objects: Vec<Value>,
    /// What is said after an installation.
    pub notes: String,
}

/// The chart with these values on top of its own.
///
/// # Errors
/// Where a template fails, or what comes out is no YAML.
pub fn render(further: &Value) -> Result<Rendered> {
    let folder = workspace::root().join(FOLDER);
    let chart: BTreeMap<String, Value> =
        serde_norway::from_str(&shipped::read(&format!("{FOLDER}/Chart.yaml"))?)?;
    // Fields of the chart have capital letters in templates.
    let capital = |name: &str| {
        let mut letters = name.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
    };
    let chart: BTreeMap<_, _> =
        chart.into_iter().filter_map(|(key, value)| Some((capital(&key)?, value))).collect();
    let files: BTreeMap<_, _> = texts(&folder.join("files"))?
        .into_iter()
        .map(|(name, text)| (format!("files/{name}"), text))
        .collect();
    let input = json!({
        "Templates": texts(&folder.join("templates"))?,
        "Data": {
            "Chart": chart,
            "Release": { "Name": RELEASE, "Namespace": RELEASE, "Service": "Helm" },
            "Values": values(further)?,
            "Files": files,
        },
    });
    let program = fixture::build("chart", &Go::find(NEWEST)?, Mode::Normal)?;
    let output = with_input(&program, &serde_json::to_vec(&input)?)?;
    let mut rendered: BTreeMap<String, String> = serde_json::from_slice(&output)?;
    let notes = rendered.remove(NOTES).context("no NOTES.txt")?;
    let mut objects = Vec::new();
    for (name, text) in rendered {
        objects.extend(kustomize::objects(&text).with_context(|| format!("{name}:\n{text}"))?);
    }
    Ok(Rendered { objects, notes })
}

/// The same by Helm itself.
///
/// # Errors
/// Where it fails; what it said is in the error.
pub fn render_by_helm(further: &Value) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let values = folder.path().join("values.json");
    fs::write(&values, serde_json::to_vec(further)?)?;
    let chart = workspace::root().join(FOLDER);
    for arguments in [&["lint", "--strict"][..], &["template", RELEASE, "--namespace", RELEASE]] {
        let output = Command::new("helm")
            .args(arguments)
            .arg("--values")
            .arg(&values)
            .arg(&chart)
            .env("HELM_CACHE_HOME", folder.path())
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {}: {errors}", arguments.join(" "));
        if arguments.first() == Some(&"template") {
            return kustomize::objects(std::str::from_utf8(&output.stdout)?);
        }
    }
    Ok(Vec::new())
}

fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {name}"))?;
        texts.insert(name, text);
    }
    Ok(texts)
}

fn with_input(program: &PathBuf, input: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // It reads all before it writes anything.
    child.stdin.take().context("no pipe")?.write_all(input)?;
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the chart cannot be rendered: {errors}");
    Ok(output.stdout)
}
