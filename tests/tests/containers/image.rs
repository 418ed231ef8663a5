//! An image with one static program in it, as an archive of the OCI's image layout
//! (<https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Where the program is in the image.
pub(crate) const PROGRAM: &str = "/goroscope-test/short";

/// Writes an image of this name, which runs the program with these arguments, into the folder.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    program: &Path,
    arguments: &[&str],
) -> Result<PathBuf> {
    let layout = folder.join("layout");
    let root = folder.join("image");
    let inside = root.join(PROGRAM.trim_start_matches('/'));
    fs::create_dir_all(layout.join("blobs/sha256"))?;
    for path in ["dev", "proc", "sys", "etc"] {
        fs::create_dir_all(root.join(path))?;
    }
    fs::create_dir_all(inside.parent().context("the program is in a folder")?)?;
    fs::copy(program, &inside)?;
    let layer = folder.join("layer.tar");
    tar(&root, &layer)?;
    let (layer, layer_size) = blob(&layout, &fs::read(&layer)?)?;
    let command: Vec<&str> = [PROGRAM].into_iter().chain(arguments.iter().copied()).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Entrypoint": command, "Env": ["PATH=/"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
    });
    let (config, config_size) = blob(&layout, &serde_json::to_vec(&config)?)?;
    let described = |kind: &str, digest: &str, size: usize| -> Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{digest}"),
            "size": size,
        })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", &config, config_size),
        "layers": [described("layer.v1.tar", &layer, layer_size)],
    });
    let (manifest, manifest_size) = blob(&layout, &serde_json::to_vec(&manifest)?)?;
    let entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{manifest}"),
        "size": manifest_size,
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name,
        },
    });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(layout.join("index.json"), serde_json::to_vec(&index)?)?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let archive = folder.join("image.tar");
    tar(&layout, &archive)?;
    Ok(archive)
}

/// Puts a blob into the layout, and gives its digest and size.
fn blob(layout: &Path, bytes: &[u8]) -> Result<(String, usize)> {
    let path = layout.join("blobs/sha256/new");
    fs::write(&path, bytes)?;
    let output = Command::new("sha256sum").arg(&path).output().context("starting sha256sum")?;
    let text = String::from_utf8(output.stdout)?;
    let digest = text.split_whitespace().next().context("sha256sum says nothing")?.to_owned();
    fs::rename(&path, path.with_file_name(&digest))?;
    Ok((digest, bytes.len()))
}

pub(crate) fn tar(folder: &Path, archive: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--owner=0", "--group=0", "-cf"]).arg(archive);
    let status = command.arg("-C").arg(folder).arg(".").status().context("starting tar")?;
    ensure!(status.success(), "tar failed: {status}");
    Ok(())
}
