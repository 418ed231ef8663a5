//! What the binary is made of: each crate with version, licence and checksum, as CycloneDX.
//!
//! `cargo cyclonedx` says of itself what is different each time, and names folders of this machine;
//! neither belongs into something that is the same wherever it is made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use goroscope_tests::{packager::Packager, workspace};
use serde_json::Value;

use super::{arch::Arch, epoch};
use crate::{command, setup};

/// The members of the workspace: the tool leaves a file in each.
const MEMBERS: [&str; 4] = ["agent", "ebpf-probes", "tests", "xtask"];

/// The list, as JSON.
pub(super) fn list(epoch: u32) -> Result<Vec<u8>> {
    let packager = setup::packager(Packager::Parts)?;
    let name = format!(".parts-{}", std::process::id());
    let left = Left(
        MEMBERS
            .iter()
            .map(|member| workspace::root().join(member).join(format!("{name}.json")))
            .collect(),
    );
    let mut command = Command::new(packager);
    command
        .current_dir(workspace::root())
        .args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--manifest-path", "agent/Cargo.toml"])
        // Of both architectures the same crates.
        .args(["--target", &Arch::Amd64.triple()])
        .args(["--override-filename", &name])
        .env(epoch::VARIABLE, epoch.to_string());
    command::output(&mut command).context("listing what the binary is made of")?;
    let path = left.0.first().context("there are members")?;
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut list: Value = serde_json::from_str(&text)?;
    if let Some(list) = list.as_object_mut() {
        list.remove("serialNumber");
    }
    neutral(&mut list, &workspace::root());
    let mut bytes = serde_json::to_vec_pretty(&list)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Takes the workspace's folder out of all texts.
fn neutral(value: &mut Value, root: &Path) {
    match value {
        Value::String(text) => {
            let folder = format!("{}/", root.display());
            if text.contains(&folder) {
                *text = text.replace(&folder, "");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| neutral(value, root)),
        Value::Object(fields) => fields.values_mut().for_each(|value| neutral(value, root)),
        _ => {}
    }
}

/// Files that are removed again, whatever happens.
struct Left(Vec<PathBuf>);

impl Drop for Left {
    fn drop(&mut self) {
        for path in &self.0 {
            let _absent = fs::remove_file(path);
        }
    }
}
